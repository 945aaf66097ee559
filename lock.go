package towpath

import (
	"fmt"
	"time"
)

// Waits says why the deployment at a place of the queue has not begun, counted from 0. Times are told in the zone of now.
func (e Environment) Waits(place int, now time.Time) string {
	if e.Deployment == nil {
		return turn(place)
	}
	return e.Holder(now) + "; " + turn(place)
}

// Holder says which deployment holds the environment, and since when; empty where none does.
func (e Environment) Holder(now time.Time) string {
	d := e.Deployment
	if d == nil {
		return ""
	}
	return fmt.Sprintf("deployment of release %d by %s holds %s since %s", d.Release.Number, d.By, e.Key, clock(now, d.BeganAt))
}

func turn(place int) string {
	switch place {
	case 0:
		return "it is next"
	case 1:
		return "1 other before it"
	}
	return fmt.Sprintf("%d others before it", place)
}

// clock is a time as short as it can be told from others, in the zone of now.
func clock(now, t time.Time) string {
	t = t.In(now.Location())
	if now.Sub(t).Abs() < 12*time.Hour {
		return t.Format("15:04")
	}
	return t.Format("2006-01-02 15:04")
}

package page

import (
	"fmt"
	"time"
)

// ago says how long ago something was, roughly; what is to come, in how long it will be.
func ago(now, t time.Time) string {
	d := now.Sub(t)
	switch {
	case d < 0:
		return "in " + roughly(-d)
	case d < 5*time.Second:
		return "just now"
	}
	return roughly(d) + " ago"
}

// roughly is a duration in its largest unit.
func roughly(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%dm", d/time.Minute)
	case d < 2*day:
		return fmt.Sprintf("%dh", d/time.Hour)
	}
	return fmt.Sprintf("%dd", d/day)
}

// clock is the exact time, as short as it can be told from others.
func clock(now, t time.Time) string {
	t = t.In(now.Location())
	switch {
	case now.Sub(t).Abs() < 12*time.Hour:
		return t.Format("15:04")
	case now.Year() == t.Year():
		return t.Format("2 Jan 15:04")
	}
	return t.Format("2 Jan 2006")
}

// exactly is the whole of a time, for whoever points at it.
func exactly(now, t time.Time) string {
	return t.In(now.Location()).Format("2006-01-02 15:04:05 -0700")
}

// duration is how long something took, for people: "41.2 s", "3m 12s", "2h 05m". Nothing where it has not both ends.
func duration(from, to time.Time) string {
	if from.IsZero() || to.IsZero() {
		return ""
	}
	switch d := to.Sub(from); {
	case d < time.Minute:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d < time.Hour:
		return fmt.Sprintf("%dm %02ds", d/time.Minute, d%time.Minute/time.Second)
	default:
		return fmt.Sprintf("%dh %02dm", d/time.Hour, d%time.Hour/time.Minute)
	}
}

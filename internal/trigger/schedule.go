package trigger

import (
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/crontab"
)

// SetBack is how far behind the last firing the clock is where it was set back, and not only set right: from there on
// times come again, and count again. One that was set back by less is waited for.
const SetBack = time.Hour

// Firing is where a schedule stands: the time that it fired for last, and the next one.
type Firing struct {
	Since, Next time.Time
	Fires       bool // for Since, now
	Again       bool // the clock was set back: times come again that have been
}

// Begin answers where a schedule stands that is new: what was before is nothing that it missed.
func Begin(when towpath.Schedule, now time.Time) (Firing, error) {
	s, err := crontab.Parse(when.Cron, when.Zone)
	if err != nil {
		return Firing{}, err
	}
	return Firing{Since: now, Next: s.Next(now)}, nil
}

// Fire answers where a schedule stands at a time. Of all times that were missed it fires for the last one only.
func Fire(when towpath.Schedule, at Firing, now time.Time) (Firing, error) {
	if now.Before(at.Since.Add(-SetBack)) {
		begun, err := Begin(when, now)
		begun.Again = true
		return begun, err
	}
	if at.Next.IsZero() || now.Before(at.Next) {
		return Firing{Since: at.Since, Next: at.Next}, nil
	}
	s, err := crontab.Parse(when.Cron, when.Zone)
	if err != nil {
		return at, err
	}
	last := s.Last(at.Next.Add(-time.Minute), now)
	if last.IsZero() { // the zone's rules have changed since
		return Firing{Since: at.Since, Next: s.Next(now)}, nil
	}
	return Firing{Since: last, Next: s.Next(last), Fires: true}, nil
}

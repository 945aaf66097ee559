package towpath

import (
	"fmt"
	"slices"
	"time"
	_ "time/tzdata" // windows mean the same on machines that have no time zones of their own
)

// Window is a time of the day, on some days of the week, in which deployments may start. It is what clocks on the wall show:
// where they are put forward over its beginning, it opens at the first moment after that; where they are put back, an hour
// of it may come twice.
type Window struct {
	Days []time.Weekday // on which it begins; none is every day
	From int            // minutes since midnight, 0 to 1439
	To   int            // minutes since midnight, 1 to 1440; not after From is on the day after
	Zone string         `json:",omitempty"` // of the IANA database; empty is UTC
}

// openingDays is how far ahead an opening is looked for: a window of one day a week whose hour a change of the clocks leaves
// out opens a week later.
const openingDays = 22

// location answers the window's zone. One that nobody knows any more is UTC: the pipeline file was checked.
func (w Window) location() *time.Location {
	if location, err := time.LoadLocation(w.Zone); err == nil {
		return location
	}
	return time.UTC
}

// IsOpen says that a deployment may start at that time.
func (w Window) IsOpen(at time.Time) bool { return w.isOpenIn(w.location(), at) }

func (w Window) isOpenIn(zone *time.Location, at time.Time) bool {
	local := at.In(zone)
	minute := 60*local.Hour() + local.Minute()
	if w.To > w.From {
		return w.beginsOn(local.Weekday()) && minute >= w.From && minute < w.To
	}
	yesterday := (local.Weekday() + 6) % 7
	return minute >= w.From && w.beginsOn(local.Weekday()) || minute < w.To && w.beginsOn(yesterday)
}

func (w Window) beginsOn(day time.Weekday) bool {
	return len(w.Days) == 0 || slices.Contains(w.Days, day)
}

// Opens answers the first time from that one on at which a deployment may start, in the window's zone; that time itself
// where it is open. It is the zero time where none comes in three weeks.
func (w Window) Opens(at time.Time) (opens time.Time) {
	zone := w.location()
	if w.isOpenIn(zone, at) {
		return at.In(zone)
	}
	for _, candidate := range w.candidates(zone, at) {
		isFirst := opens.IsZero() || candidate.Before(opens)
		if candidate.After(at) && isFirst && w.isOpenIn(zone, candidate) {
			opens = candidate
		}
	}
	return opens
}

// candidates are the only times at which the window can open: what clocks show at its beginning, by each offset that the zone
// has around that day, and the changes of the clocks.
func (w Window) candidates(zone *time.Location, at time.Time) (found []time.Time) {
	local := at.In(zone)
	for day := -1; day <= openingDays; day++ {
		shown := time.Date(local.Year(), local.Month(), local.Day()+day, 0, w.From, 0, 0, time.UTC)
		for _, hours := range []time.Duration{-36, 0, 36} {
			_, offset := shown.Add(hours * time.Hour).In(zone).Zone()
			found = append(found, shown.Add(-time.Duration(offset)*time.Second).In(zone))
		}
	}
	last := at.AddDate(0, 0, openingDays)
	for _, change := local.ZoneBounds(); !change.IsZero() && change.Before(last); _, change = change.ZoneBounds() {
		found = append(found, change)
	}
	return found
}

// Opens answers the first time from that one on at which a deployment may start; that time itself where nothing is against
// it. It is the zero time where none comes in three weeks.
func (d EnvironmentDefinition) Opens(at time.Time) (opens time.Time) {
	if len(d.Windows) == 0 {
		return at
	}
	for _, w := range d.Windows {
		if next := w.Opens(at); !next.IsZero() && (opens.IsZero() || next.Before(opens)) {
			opens = next
		}
	}
	return opens
}

// isOpen says that deployments may start at that time.
func (d EnvironmentDefinition) isOpen(at time.Time) bool {
	return len(d.Windows) == 0 || slices.ContainsFunc(d.Windows, func(w Window) bool { return w.IsOpen(at) })
}

// opening is a time at which a window opens, for people: "Mon 09:00 Europe/Berlin", with its date where that is further away
// than a week.
func opening(now, at time.Time) string {
	form := "Mon 15:04"
	if at.Sub(now) > 6*24*time.Hour {
		form = "Mon 2006-01-02 15:04"
	}
	return fmt.Sprintf("%s %s", at.Format(form), at.Location())
}

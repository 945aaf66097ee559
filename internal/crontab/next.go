package crontab

import "time"

// Next answers the first time of the schedule after that one; the zero time where none comes in [searchYears].
//
// Where the clocks are put forward, a time that the zone leaves out comes at the first minute that it has again; where
// they are put back, a time that comes twice counts the first time only. A schedule whose minutes or hours begin with a
// star ("*/15 * * * *") is not about a time of day but about how often: it comes at each minute that fits, as often as the
// zone has it. These are the rules of cron(8) on Debian.
func (s Schedule) Next(after time.Time) time.Time {
	t := ceiling(after)
	limit := after.AddDate(searchYears, 0, 0)
	for t.Before(limit) {
		p := s.periodAt(t)
		if p.start.Equal(t) && s.leftOut(p) {
			return t
		}
		if found, ok := s.within(p, t); ok {
			return found
		}
		if p.end.IsZero() {
			return time.Time{}
		}
		t = p.end
	}
	return time.Time{}
}

// Last answers the last time of the schedule after the one and not after the other; the zero time where there is none.
func (s Schedule) Last(after, until time.Time) time.Time {
	for span := time.Hour; ; span *= 24 {
		from := until.Add(-span)
		if !from.After(after) {
			from = after
		}
		var last time.Time
		for t := s.Next(from); !t.IsZero() && !t.After(until); t = s.Next(t) {
			last = t
		}
		if !last.IsZero() || from.Equal(after) {
			return last
		}
	}
}

// period is a time in which the zone's clocks are not changed.
type period struct {
	start, end time.Time // zero: it has none
	offset     time.Duration
	before     time.Duration // the offset of the one before
}

func (s Schedule) periodAt(t time.Time) period {
	start, end := t.In(s.zone).ZoneBounds()
	p := period{start: start, end: end, offset: offsetOf(t.In(s.zone))}
	p.before = p.offset
	if !start.IsZero() {
		p.before = offsetOf(start.Add(-time.Second).In(s.zone))
	}
	return p
}

func offsetOf(t time.Time) time.Duration {
	_, seconds := t.Zone()
	return time.Duration(seconds) * time.Second
}

// local is what the clocks of a period show, as a time of UTC.
func (p period) local(t time.Time) time.Time { return t.UTC().Add(p.offset) }

// within answers the first time of the schedule in a period, not before t.
func (s Schedule) within(p period, t time.Time) (time.Time, bool) {
	from := p.local(t)
	if repeated := p.start.UTC().Add(p.before); !s.real && !p.start.IsZero() && p.before > p.offset && from.Before(repeated) {
		from = repeated // until then the clocks show what they have shown before
	}
	limit := from.AddDate(searchYears, 0, 0)
	if !p.end.IsZero() {
		limit = p.local(p.end)
	}
	found, ok := s.seek(ceilingOf(from), limit)
	return found.Add(-p.offset), ok
}

// leftOut says that a time of the schedule is one that the zone left out before this period.
func (s Schedule) leftOut(p period) bool {
	if s.real || p.before >= p.offset {
		return false
	}
	_, found := s.seek(ceilingOf(p.start.UTC().Add(p.before)), p.local(p.start))
	return found
}

// seek answers the first minute of the schedule from t on and before the limit, as clocks without changes show it.
func (s Schedule) seek(t, limit time.Time) (time.Time, bool) {
	for t.Before(limit) {
		switch {
		case !has(s.months, int(t.Month())):
			t = time.Date(t.Year(), t.Month()+1, 1, 0, 0, 0, 0, time.UTC)
		case !s.hasDay(t):
			t = time.Date(t.Year(), t.Month(), t.Day()+1, 0, 0, 0, 0, time.UTC)
		case !has(s.hours, t.Hour()):
			t = t.Truncate(time.Hour).Add(time.Hour)
		case !has(s.minutes, t.Minute()):
			t = t.Add(time.Minute)
		default:
			return t, true
		}
	}
	return time.Time{}, false
}

// hasDay takes a day that fits either field where both say something, as crontab(5) has it.
func (s Schedule) hasDay(t time.Time) bool {
	day, weekday := has(s.days, t.Day()), has(s.weekdays, int(t.Weekday()))
	if s.everyDay || s.everyWeekday {
		return day && weekday
	}
	return day || weekday
}

func has(bits uint64, n int) bool { return bits&(1<<n) != 0 }

// ceiling is the first whole minute after t.
func ceiling(t time.Time) time.Time { return t.UTC().Truncate(time.Minute).Add(time.Minute) }

// ceilingOf is the first whole minute that is not before t.
func ceilingOf(t time.Time) time.Time {
	if whole := t.Truncate(time.Minute); whole.Equal(t) {
		return whole
	}
	return ceiling(t)
}

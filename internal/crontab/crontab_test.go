package crontab

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func parsed(t testing.TB, text, zone string) Schedule {
	t.Helper()
	s, err := Parse(text, zone)
	if err != nil {
		t.Fatalf("%s in %q: %v", text, zone, err)
	}
	return s
}

func TestWhatIsWrongWithATimeIsToldWhereItStands(t *testing.T) {
	for text, want := range map[string]Error{
		"61 2 * * *":       {0, 2, `"61" is not a minute`, fields[0].hint},
		"30  24 * * *":     {4, 2, `"24" is not an hour`, fields[1].hint},
		"0 0 32 * *":       {4, 2, `"32" is not a day of the month`, fields[2].hint},
		"0 0 * jam *":      {6, 3, `"jam" is not a month`, fields[3].hint},
		"0 0 * * 8":        {8, 1, `"8" is not a day of the week`, fields[4].hint},
		"0 0 * * 1,,2":     {8, 4, `"1,,2" is not a day of the week`, fields[4].hint},
		"0 0 ? * *":        {4, 1, `"?" is not a day of the month`, fields[2].hint},
		"H 0 * * *":        {0, 1, `"H" is not a minute`, fields[0].hint},
		"0 0 L * *":        {4, 1, `"L" is not a day of the month`, fields[2].hint},
		"*/0 * * * *":      {0, 3, `"*/0" is not a minute`, fields[0].hint},
		"0 0 30 2 *":       {0, 10, `"0 0 30 2 *" never comes: no such month has such a day`, ""},
		"@daily":           {0, 6, `"@daily" is not a time`, `minute, hour, day of the month, month, day of the week: "30 2 * * 1-5"`},
		"0 0 * *":          {0, 7, `"0 0 * *" has 4 fields, and a time has five`, `minute, hour, day of the month, month, day of the week: "30 2 * * 1-5"`},
		"TZ=UTC * * * * *": {0, 16, `"TZ=UTC * * * * *" names a time zone`, "write {cron: …, zone: …}"},
	} {
		_, err := Parse(text, "")
		got, ok := errors.AsType[*Error](err)
		if !ok || *got != want {
			t.Errorf("%s: %+v, want %+v", text, err, want)
		}
	}
	for _, zone := range []string{"Europe/Wien", "Local", "../UTC", "CET+1"} {
		if _, err := Parse("0 0 * * *", zone); !errors.Is(err, ErrZone) {
			t.Errorf("%s: %v", zone, err)
		}
	}
}

func TestTheDaysOnWhichClocksAreChanged(t *testing.T) {
	for _, c := range []struct{ cron, zone, after, want string }{
		// Berlin, 28 March 2027: 02:00 becomes 03:00. 31 October 2027: 03:00 becomes 02:00.
		{"30 2 * * *", "Europe/Berlin", "2027-03-27T12:00:00Z", "2027-03-28T01:00:00Z 2027-03-29T00:30:00Z"},
		{"30 2 * * *", "Europe/Berlin", "2027-10-30T12:00:00Z", "2027-10-31T00:30:00Z 2027-11-01T01:30:00Z"},
		{"0 2,3 * * *", "Europe/Berlin", "2027-03-28T00:30:00Z", "2027-03-28T01:00:00Z 2027-03-29T00:00:00Z"},
		{"*/30 * * * *", "Europe/Berlin", "2027-10-31T00:10:00Z", "2027-10-31T00:30:00Z 2027-10-31T01:00:00Z 2027-10-31T01:30:00Z 2027-10-31T02:00:00Z"},
		{"0 * * * *", "Europe/Berlin", "2027-03-28T00:10:00Z", "2027-03-28T01:00:00Z 2027-03-28T02:00:00Z"},
		// Lord Howe, 4 April 2027: 02:00 becomes 01:30.
		{"45 1 * * *", "Australia/Lord_Howe", "2027-04-03T12:00:00Z", "2027-04-03T14:45:00Z 2027-04-04T15:15:00Z"},
		// Cairo, 30 April 2027: midnight becomes 01:00.
		{"0 0 * * *", "Africa/Cairo", "2027-04-29T12:00:00Z", "2027-04-29T22:00:00Z 2027-04-30T21:00:00Z"},
		// Apia left out the whole of 30 December 2011.
		{"0 9 30 12 *", "Pacific/Apia", "2011-12-01T00:00:00Z", "2011-12-30T10:00:00Z 2012-12-29T19:00:00Z"},
		// Either day, as crontab(5) has it, and both where one begins with a star.
		{"0 0 13 * 5", "", "2027-08-06T12:00:00Z", "2027-08-13T00:00:00Z 2027-08-20T00:00:00Z"},
		{"0 0 */2 * 5", "", "2027-08-06T12:00:00Z", "2027-08-13T00:00:00Z 2027-08-27T00:00:00Z"},
		{"0 0 29 2 *", "", "2097-01-01T00:00:00Z", "2104-02-29T00:00:00Z"},
		{"0 0 * * 7", "", "2027-08-06T12:00:00Z", "2027-08-08T00:00:00Z"},
	} {
		s, at := parsed(t, c.cron, c.zone), moment(t, c.after)
		for want := range strings.SplitSeq(c.want, " ") {
			at = s.Next(at)
			if got := at.UTC().Format(time.RFC3339); got != want {
				t.Errorf("%s in %s after %s: %s, want %s", c.cron, c.zone, c.after, got, want)
			}
		}
	}
}

func moment(t testing.TB, text string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// TestEveryMinuteOfYears compares with something that knows nothing but how to look at a clock: it goes through the
// minutes one by one, and keeps the latest time that the clock has shown.
func TestEveryMinuteOfYears(t *testing.T) {
	zones := []string{
		"Europe/Berlin", "Australia/Lord_Howe", "", "America/New_York", "Africa/Cairo", "America/Santiago", "Asia/Kathmandu",
		"Africa/Casablanca", "America/Havana", "Pacific/Chatham", "Europe/Dublin", "America/Scoresbysund",
	}
	crons := []string{
		"30 2 * * *", "0 0 * * *", "15,45 1,2,3 * * *", "*/20 * * * *", "0 */2 * * *", "5 0 1,15 * 1", "59 23 28-31 * *",
		"30 0-3 * 3,4,9,10,11 0", "*/7 2 * * *", "0 12 29 2 *", "0 1 */2 * sun",
	}
	from, until := moment(t, "2023-09-01T00:00:00Z"), moment(t, "2024-12-31T00:00:00Z")
	slow := make([]table, len(crons))
	for i, text := range crons {
		slow[i] = newTable(text)
	}
	for _, zone := range zones[:zonesWalked] {
		t.Run("in "+zone, func(t *testing.T) {
			t.Parallel()
			schedules := make([]Schedule, len(crons))
			next := make([]time.Time, len(crons))
			for i, text := range crons {
				schedules[i] = parsed(t, text, zone)
				next[i] = schedules[i].Next(from)
			}
			walk(schedules[0].zone, from, until, func(at, shown time.Time, missed []time.Time, isNew bool) {
				for i, text := range crons {
					comes := slow[i].comes(shown, missed, isNew)
					if comes != next[i].Equal(at) {
						t.Errorf("%s at %s (%s): comes is %t, and the next one is at %s", text, at, shown, comes, next[i])
					}
					if comes || len(missed) > 0 {
						if soon := schedules[i].Next(at.Add(-time.Minute)); comes != soon.Equal(at) {
							t.Errorf("%s at %s (%s): comes is %t, and one minute before, the next one is at %s", text, at, shown, comes, soon)
						}
					}
					if !next[i].After(at) {
						next[i] = schedules[i].Next(at)
					}
				}
			})
		})
	}
}

// walk goes through the minutes after from. It tells what the clock shows, what it left out just now, and whether it has
// not shown this before.
func walk(zone *time.Location, from, until time.Time, see func(at, shown time.Time, missed []time.Time, isNew bool)) {
	shows := func(at time.Time) time.Time {
		l := at.In(zone)
		return time.Date(l.Year(), l.Month(), l.Day(), l.Hour(), l.Minute(), 0, 0, time.UTC)
	}
	latest := shows(from)
	for at := from.Add(time.Minute); at.Before(until); at = at.Add(time.Minute) {
		now := shows(at)
		var missed []time.Time
		for gap := latest.Add(time.Minute); gap.Before(now); gap = gap.Add(time.Minute) {
			missed = append(missed, gap)
		}
		isNew := now.After(latest)
		see(at, now, missed, isNew)
		if isNew {
			latest = now
		}
	}
}

// table is a schedule written out.
type table struct {
	minutes, hours, days, months, weekdays [60]bool
	bothDays, often                        bool
}

func newTable(text string) table {
	f := strings.Fields(strings.ReplaceAll(text, "sun", "0"))
	t := table{bothDays: f[2][0] == '*' || f[4][0] == '*', often: f[0][0] == '*' || f[1][0] == '*'}
	for n := range 60 {
		t.minutes[n], t.hours[n], t.days[n] = in(f[0], n, 0), in(f[1], n, 0), in(f[2], n, 1)
		t.months[n], t.weekdays[n] = in(f[3], n, 1), in(f[4], n, 0)
	}
	return t
}

func (t *table) comes(shown time.Time, missed []time.Time, isNew bool) bool {
	if t.often || isNew && t.fits(shown) {
		return t.fits(shown)
	}
	return isNew && slices.ContainsFunc(missed, t.fits)
}

func (t *table) fits(at time.Time) bool {
	if !t.minutes[at.Minute()] || !t.hours[at.Hour()] || !t.months[at.Month()] {
		return false
	}
	day, weekday := t.days[at.Day()], t.weekdays[at.Weekday()]
	return day && weekday || !t.bothDays && (day || weekday)
}

// in reads a field: lists of numbers, ranges and stars with steps.
func in(field string, n, lowest int) bool {
	for part := range strings.SplitSeq(field, ",") {
		if step, ok := strings.CutPrefix(part, "*"); ok {
			every, _ := strconv.Atoi(strings.TrimPrefix(step, "/"))
			if step == "" || (n-lowest)%every == 0 {
				return true
			}
			continue
		}
		low, high, isRange := strings.Cut(part, "-")
		a, _ := strconv.Atoi(low)
		b := a
		if isRange {
			b, _ = strconv.Atoi(high)
		}
		if a <= n && n <= b {
			return true
		}
	}
	return false
}

func TestTheLastOfManyIsTheOneBeforeTheNextThatIsTooLate(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.SampledFrom([]string{"*/5 * * * *", "30 2 * * *", "0 0 1 * *", "0 12 29 2 *"}).Draw(t, "cron")
		s, err := Parse(text, rapid.SampledFrom([]string{"", "Europe/Berlin", "Africa/Cairo"}).Draw(t, "zone"))
		if err != nil {
			t.Fatal(err)
		}
		after := time.Unix(int64(rapid.IntRange(1_600_000_000, 1_900_000_000).Draw(t, "after")), 0)
		until := after.Add(time.Duration(rapid.IntRange(0, 40*24*60).Draw(t, "minutes")) * time.Minute)
		want := time.Time{}
		for at := s.Next(after); !at.IsZero() && !at.After(until); at = s.Next(at) {
			want = at
		}
		if got := s.Last(after, until); !got.Equal(want) {
			t.Errorf("%s between %s and %s: %s, want %s", text, after, until, got, want)
		}
	})
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"* * * * *", "0 0 29 2 1", "*/15 9-17 * jan-mar mon", "@every 1s", "H H * * *", "0 0 L * 5#3"} {
		f.Add(seed, "Europe/Berlin")
	}
	f.Fuzz(func(t *testing.T, text, zone string) {
		s, err := Parse(text, zone)
		if err != nil {
			return
		}
		now := time.Unix(1_800_000_000, 0)
		if next := s.Next(now); !next.After(now) || next.Second() != 0 {
			t.Error(fmt.Sprint(text, " ", zone, ": ", next))
		}
	})
}

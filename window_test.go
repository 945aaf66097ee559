package towpath

import (
	"testing"
	"time"
)

func TestAWindowOpensWhenClocksShowItsBeginning(t *testing.T) {
	weekdays := []time.Weekday{time.Monday, time.Tuesday, time.Wednesday, time.Thursday, time.Friday}
	office := Window{Days: weekdays, From: 9 * 60, To: 16 * 60, Zone: "Europe/Berlin"}
	night := Window{Days: []time.Weekday{time.Friday}, From: 22 * 60, To: 2 * 60, Zone: "Europe/Berlin"}
	for _, c := range []struct {
		window   Window
		at, want string
	}{
		{office, "2027-03-26T08:00:00Z", "2027-03-26T08:00:00Z"}, // Friday, 09:00: open
		{office, "2027-03-26T14:59:59Z", "2027-03-26T14:59:59Z"},
		{office, "2027-03-26T15:00:00Z", "2027-03-29T07:00:00Z"}, // Friday, 16:00; clocks are put forward on Sunday
		{office, "2027-10-29T15:00:00Z", "2027-11-01T08:00:00Z"}, // clocks are put back on Sunday
		{night, "2027-03-26T20:59:00Z", "2027-03-26T21:00:00Z"},
		{night, "2027-03-27T00:30:00Z", "2027-03-27T00:30:00Z"}, // Saturday, 01:30: still Friday's
		{night, "2027-03-27T01:00:00Z", "2027-04-02T20:00:00Z"},
		// Berlin, 28 March 2027: 02:00 becomes 03:00, within this window and over that one.
		{Window{Days: []time.Weekday{time.Sunday}, From: 150, To: 240, Zone: "Europe/Berlin"}, "2027-03-27T23:30:00Z", "2027-03-28T01:00:00Z"},
		{Window{Days: []time.Weekday{time.Sunday}, From: 130, To: 170, Zone: "Europe/Berlin"}, "2027-03-27T23:30:00Z", "2027-04-04T00:10:00Z"},
		// Berlin, 31 October 2027: 03:00 becomes 02:00, so that 02:30 comes twice.
		{Window{From: 150, To: 160, Zone: "Europe/Berlin"}, "2027-10-31T00:40:00Z", "2027-10-31T01:30:00Z"},
		// Apia left out Friday, 30 December 2011.
		{Window{Days: []time.Weekday{time.Friday}, From: 540, To: 600, Zone: "Pacific/Apia"}, "2011-12-24T00:00:00Z", "2012-01-05T19:00:00Z"},
		{Window{From: 0, To: 1440}, "2027-03-26T23:59:59Z", "2027-03-26T23:59:59Z"},
		{Window{From: 60, To: 60}, "2027-03-26T00:00:00Z", "2027-03-26T00:00:00Z"},
	} {
		if got := c.window.Opens(moment(t, c.at)).UTC().Format(time.RFC3339); got != c.want {
			t.Errorf("%+v at %s opens at %s, want %s", c.window, c.at, got, c.want)
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

func TestTheFirstOfSeveralWindowsCounts(t *testing.T) {
	d := EnvironmentDefinition{Windows: []Window{{From: 600, To: 660}, {From: 540, To: 550, Zone: "America/New_York"}, {From: 840, To: 841}}}
	if got := opening(moment(t, "2027-01-04T11:00:00Z"), d.Opens(moment(t, "2027-01-04T11:00:00Z"))); got != "Mon 09:00 America/New_York" {
		t.Errorf("it opens %s", got)
	}
	if at := moment(t, "2027-01-04T10:30:00Z"); !d.Opens(at).Equal(at) || !d.isOpen(at) {
		t.Error("it is not open")
	}
}

// FuzzWindow compares the opening with what somebody finds who looks at the clock every minute.
func FuzzWindow(f *testing.F) {
	zones := []string{
		"", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Cairo", "Pacific/Apia", "Asia/Kolkata",
		"America/Sao_Paulo", "Africa/Casablanca", "Asia/Gaza", "Antarctica/Troll", "America/St_Johns",
	}
	f.Add(int64(1806105600), uint8(1), uint16(150), uint16(240), uint8(1))
	f.Add(int64(1824942000), uint8(127), uint16(150), uint16(160), uint8(1))
	f.Add(int64(1324684800), uint8(32), uint16(540), uint16(600), uint8(5))
	f.Add(int64(1800000000), uint8(0), uint16(1380), uint16(60), uint8(3))
	f.Fuzz(func(t *testing.T, unix int64, days uint8, from, to uint16, zone uint8) {
		const year = 365 * 24 * 3600
		at := time.Unix(20*year+(unix%(70*year)+70*year)%(70*year), 0).UTC()
		w := Window{From: int(from) % 1440, To: int(to)%1440 + 1, Zone: zones[int(zone)%len(zones)]}
		for day := range 7 {
			if days>>day&1 == 1 {
				w.Days = append(w.Days, time.Weekday(day))
			}
		}
		want, got := w.watched(at, 22*24*60), w.Opens(at)
		if !want.IsZero() && !got.Equal(want) {
			t.Errorf("%+v at %s opens at %s, but clocks show it at %s", w, at, got.UTC(), want.UTC())
		}
		if got.IsZero() || got.Before(at) || !w.IsOpen(got) {
			t.Errorf("%+v at %s opens at %s", w, at, got)
		}
	})
}

// watched answers the first time at which the window is open, by the minute.
func (w Window) watched(at time.Time, minutes int) time.Time {
	zone := w.location()
	if w.isOpenIn(zone, at) {
		return at
	}
	for minute := at.Truncate(time.Minute); minutes > 0; minutes-- {
		minute = minute.Add(time.Minute)
		if w.isOpenIn(zone, minute) {
			return minute
		}
	}
	return time.Time{}
}

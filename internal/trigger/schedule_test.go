package trigger_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/crontab"
	"github.com/towpath-cd/towpath/internal/trigger"
)

// TestEachTimeFiresOnceAndAfterABreakOnlyTheLast looks at a schedule at random moments, as a server does that is stopped
// and started, for a year with its changes of the clocks, and compares with all the times that there are.
func TestEachTimeFiresOnceAndAfterABreakOnlyTheLast(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		when := towpath.Schedule{
			Cron: rapid.SampledFrom([]string{"30 2 * * *", "*/20 * * * *", "0 0 1 * *", "15 1,2,3 * * 0", "0 */6 * * 1-5"}).Draw(t, "cron"),
			Zone: rapid.SampledFrom([]string{"", "Europe/Berlin", "America/Santiago", "Australia/Lord_Howe"}).Draw(t, "zone"),
		}
		all, err := crontab.Parse(when.Cron, when.Zone)
		if err != nil {
			t.Fatal(err)
		}
		now := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(rapid.IntRange(0, 300*24*60).Draw(t, "start")) * time.Minute)
		at, err := trigger.Begin(when, now)
		if err != nil {
			t.Fatal(err)
		}
		seen := now // until then every time was looked at
		for range rapid.IntRange(1, 30).Draw(t, "looks") {
			pause := rapid.OneOf(rapid.IntRange(0, 120), rapid.IntRange(0, 86400), rapid.IntRange(0, 40*86400)).Draw(t, "seconds")
			now = now.Add(time.Duration(pause) * time.Second)
			if at, err = trigger.Fire(when, at, now); err != nil {
				t.Fatal(err)
			}
			var want time.Time
			for time := all.Next(seen); !time.After(now); time = all.Next(time) {
				want = time
			}
			if at.Fires == want.IsZero() || at.Fires && !at.Since.Equal(want) {
				t.Fatalf("%v between %s and %s: %+v, want %s", when, seen, now, at, want)
			}
			if at.Again || !at.Next.Equal(all.Next(now)) {
				t.Fatalf("%v at %s: it goes on with %+v", when, now, at)
			}
			if at.Fires {
				seen = at.Since
			}
		}
	})
}

func TestAClockThatIsSetBackDoublesNothingAndStopsNothingForLong(t *testing.T) {
	daily := towpath.Schedule{Cron: "0 2 * * *"}
	hourly := towpath.Schedule{Cron: "0 * * * *"}
	begun := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	fire := func(when towpath.Schedule, at trigger.Firing, now time.Time) trigger.Firing {
		t.Helper()
		next, err := trigger.Fire(when, at, now)
		if err != nil {
			t.Fatal(err)
		}
		return next
	}
	for _, when := range []towpath.Schedule{daily, hourly} {
		at, err := trigger.Begin(when, begun)
		if err != nil {
			t.Fatal(err)
		}
		for now := begun; now.Before(begun.Add(48 * time.Hour)); now = now.Add(time.Minute) {
			at = fire(when, at, now)
		}
		fired := at.Since
		if again := fire(when, at, fired.Add(-time.Minute)); again.Fires || again.Again {
			t.Errorf("%v: set right by a minute it answers %+v", when, again)
		}
		if again := fire(when, fire(when, at, fired.Add(-time.Minute)), fired); again.Fires {
			t.Errorf("%v: the same time fires twice: %+v", when, again)
		}
		back := fired.Add(-36 * time.Hour)
		again := fire(when, at, back)
		if again.Fires || !again.Again || again.Next.Sub(back) > 24*time.Hour {
			t.Errorf("%v: set back by 36 hours it answers %+v", when, again)
		}
		if next := fire(when, again, again.Next); !next.Fires || next.Again {
			t.Errorf("%v: after that it answers %+v", when, next)
		}
	}
}

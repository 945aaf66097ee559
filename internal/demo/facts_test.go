package demo

import (
	"slices"
	"strings"
	"testing"

	"github.com/towpath-cd/towpath/internal/load"
)

// wellShown are the facts of a demo that went well.
func wellShown() Facts {
	return Facts{
		Rounds:   []Round{{RollbackMS: 31, SwitchMS: 40.4}, {RollbackMS: 90, SwitchMS: 47}, {RollbackMS: 29.6, SwitchMS: 12}},
		Returned: &Returned{Release: 3, To: 2, Errors: 311, Verdict: "61% of 730 requests failed"},
		Kills:    []Kill{{Process: "server", Release: 4}, {Process: "worker", Release: 5}},
	}
}

func TestTheLastLineHasItsExactForm(t *testing.T) {
	f := wellShown()
	f.take(load.Report{Requests: 12345, Failed: 1, Failures: []load.Failure{{Path: "/work", Reason: "read the body: unexpected EOF"}}})
	if got, want := f.Line(), "demo: requests 12345, failed 1, switch 40 ms, rollback 31 ms, recovered 3 of 3"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	for _, told := range []string{"/work: read the body: unexpected EOF", "311 answers", "61% of 730 requests failed"} {
		if table := f.Table(); !strings.Contains(table, told) {
			t.Errorf("the table hides %q:\n%s", told, table)
		}
	}
}

func TestTheDemoHasShownWhatItPromisesOnlyWhereNothingFailedAndAllRecovered(t *testing.T) {
	one := load.Report{Requests: 10, Failed: 1, Failures: []load.Failure{{Path: "/", Reason: "connect: refused"}}}
	for name, c := range map[string]struct {
		spoil  func(*Facts)
		report load.Report
		line   string // its end
		says   string // empty where all is well
	}{
		"all is well":         {func(*Facts) {}, load.Report{Requests: 10}, "failed 0, switch 40 ms, rollback 31 ms, recovered 3 of 3", ""},
		"a request failed":    {func(*Facts) {}, one, "failed 1, switch 40 ms, rollback 31 ms, recovered 3 of 3", "connect: refused"},
		"a kill was too much": {func(f *Facts) { f.Kills[0].Problem = "it did not come back" }, load.Report{Requests: 10}, "recovered 2 of 3", "kill of the server: it did not come back"},
		"a kill was not seen": {func(f *Facts) { f.Kills = f.Kills[:1] }, load.Report{Requests: 10}, "recovered 2 of 3", "2 of 3"},
		"nothing moved back":  {func(f *Facts) { f.Returned.Problem = "release 3 is live" }, load.Report{Requests: 10}, "recovered 2 of 3", "2 of 3"},
		"it ended before":     {func(f *Facts) { f.Returned, f.Kills = nil, nil }, load.Report{Requests: 10}, "recovered 0 of 3", "0 of 3"},
	} {
		t.Run(name, func(t *testing.T) {
			f := wellShown()
			f.Kills = slices.Clone(f.Kills)
			c.spoil(&f)
			f.take(c.report)
			if !strings.HasSuffix(f.Line(), c.line) {
				t.Errorf("the line is %q, want %q at its end", f.Line(), c.line)
			}
			err := f.Problem()
			if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
				t.Errorf("the problem is %v, want %q in it", err, c.says)
			}
		})
	}
}

func TestAMedianIsTheMiddle(t *testing.T) {
	for _, c := range []struct {
		values []float64
		want   float64
	}{{nil, 0}, {[]float64{7}, 7}, {[]float64{9, 1, 5}, 5}, {[]float64{4, 1, 2, 90}, 3}} {
		if got := median(c.values); got != c.want {
			t.Errorf("median of %v is %v, want %v", c.values, got, c.want)
		}
	}
}

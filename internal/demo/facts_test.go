package demo

import (
	"strings"
	"testing"

	"github.com/towpath-cd/towpath/internal/load"
)

func TestTheLastLineHasItsExactForm(t *testing.T) {
	f := Facts{Rounds: []Round{{RollbackMS: 31, SwitchMS: 40.4}, {RollbackMS: 90, SwitchMS: 47}, {RollbackMS: 29.6, SwitchMS: 12}}}
	f.take(load.Report{Requests: 12345, Failed: 1, Failures: []load.Failure{{Path: "/work", Reason: "read the body: unexpected EOF"}}})
	if got, want := f.Line(), "demo: requests 12345, failed 1, switch 40 ms, rollback 31 ms"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if table := f.Table(); !strings.Contains(table, "/work: read the body: unexpected EOF") {
		t.Errorf("the table hides what failed:\n%s", table)
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

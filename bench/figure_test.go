package main

import (
	"math"
	"strings"
	"testing"
)

func TestALineHasEightFieldsOfPlainNumbers(t *testing.T) {
	for line, f := range map[string]Figure{
		"step\t9.25\tms\tshell\t6\t1.542\t12\tmet":                      {"step", 9.25, "ms", "shell", 6, AtMost(12)},
		"requests a second\t123457\t1/s\tplain\t0.1235\t999655\t-\tmet": {"requests a second", 123457.4, "1/s", "plain", 0.1235, Goal{}},
		"memory\t50.01\tMB\t-\t-\t-\t50\tshort":                         {"memory", 50.01, "MB", "", 0, AtMost(50)},
		"failed\t0\trequests\t-\t-\t-\t0\tmet":                          {"failed", 0, "requests", "", 0, AtMost(0)},
		"rate\t79\t1/min\tshell\t100\t0.79\t80\tshort":                  {"rate", 79, "1/min", "shell", 100, AtLeast(80)},
		"first\t-\tms\tshell\t8\t-\t30\tshort":                          {"first", math.Inf(1), "ms", "shell", 8, AtMost(30)},
		"unmeasured\t-\tms\t-\t-\t-\t-\tshort":                          {"unmeasured", median(nil), "ms", "", 0, Goal{}},
	} {
		if got := f.String(); got != line {
			t.Errorf("got  %q\nwant %q", got, line)
		}
		if fields := strings.Split(f.String(), "\t"); len(fields) != 8 {
			t.Errorf("%q has %d fields", f, len(fields))
		}
	}
}

func TestATimeIsHeldByItsRatioToTheReference(t *testing.T) {
	for _, c := range []struct {
		ours, reference float64
		met             bool
	}{
		{30, 8, true}, {31, 8, false}, {60, 16, true}, {16, 4, false},
	} {
		f := Figure{Ours: c.ours, Reference: "shell", Limit: c.reference, Goal: AtMostAs(30, 8, c.reference)}
		if f.IsMet() != c.met {
			t.Errorf("%v beside %v: met is %v", c.ours, c.reference, f.IsMet())
		}
	}
}

func TestQuantilesLieBetweenSamples(t *testing.T) {
	samples := []float64{4, 1, 3, 2}
	for q, want := range map[float64]float64{0: 1, 0.5: 2.5, 1: 4} {
		if got := quantile(samples, q); got != want {
			t.Errorf("quantile %v is %v, want %v", q, got, want)
		}
	}
}

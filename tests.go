package towpath

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// TestOutcome is what a test came to.
type TestOutcome string

// The outcomes of a test.
const (
	TestPassed  TestOutcome = "passed"
	TestFailed  TestOutcome = "failed" // or broke before it could say so
	TestSkipped TestOutcome = "skipped"
)

// TestOutcomes lists every outcome.
var TestOutcomes = []TestOutcome{TestPassed, TestFailed, TestSkipped}

// TestResult is what one test came to in one attempt of a step.
type TestResult struct {
	Suite   string `json:",omitempty"`
	Name    string
	Outcome TestOutcome
	Took    time.Duration `json:",omitempty"`
	Message string        `json:",omitempty"` // of a failed or skipped one: why, in a line
	Output  string        `json:",omitempty"` // of a failed one: the end of what it said
	New     bool          `json:",omitempty"` // it failed, and did not in the report that this one is compared with
	// Flickering says why its outcome tells little; empty where it tells much.
	Flickering string `json:",omitempty"`
}

// ID names the test among all of a step.
func (r TestResult) ID() string { return r.Suite + "\x00" + r.Name }

// String says it for people, in a line: "cart TestPay (new, flickers): got 13, want 12".
func (r TestResult) String() string {
	said := r.Name
	if r.Suite != "" {
		said = r.Suite + " " + r.Name
	}
	switch {
	case r.New && r.Flickering != "":
		said += " (new, flickers)"
	case r.New:
		said += " (new)"
	case r.Flickering != "":
		said += " (flickers)"
	}
	if r.Message != "" {
		said += ": " + r.Message
	}
	return said
}

// TestReport is what the tests of one attempt of a step came to.
type TestReport struct {
	Results  []TestResult
	LeftOut  int      `json:",omitempty"` // results beyond what is kept of one report
	Problems []string `json:",omitempty"` // files that are missing or cannot be read, each a sentence
	Compared int      `json:",omitempty"` // number of the run whose failures are not new; 0 where there is none
}

// TestTotals are the numbers of a report.
type TestTotals struct {
	Passed, Failed, Skipped, New, Flickering int
	Took                                     time.Duration // of all tests together
	Problems                                 int
}

// All is how many tests there are.
func (t TestTotals) All() int { return t.Passed + t.Failed + t.Skipped }

// String says it for people: "3 of 318 tests failed (1 new), 2 skipped".
func (t TestTotals) String() string {
	said := fmt.Sprintf("%d tests passed", t.Passed)
	switch {
	case t.All() == 0:
		said = "no tests"
	case t.Failed > 0:
		said = fmt.Sprintf("%d of %d tests failed", t.Failed, t.All())
	}
	if t.New > 0 {
		said += fmt.Sprintf(" (%d new)", t.New)
	}
	if t.Skipped > 0 {
		said += fmt.Sprintf(", %d skipped", t.Skipped)
	}
	if t.Flickering > 0 {
		said += fmt.Sprintf(", %d flicker", t.Flickering)
	}
	if t.Problems > 0 {
		said += fmt.Sprintf("; %d reports not read", t.Problems)
	}
	return said
}

// Totals counts.
func (r TestReport) Totals() (t TestTotals) {
	for _, result := range r.Results {
		switch result.Outcome {
		case TestPassed:
			t.Passed++
		case TestFailed:
			t.Failed++
		default:
			t.Skipped++
		}
		if result.New {
			t.New++
		}
		if result.Flickering != "" {
			t.Flickering++
		}
		t.Took += result.Took
	}
	t.Problems = len(r.Problems)
	return t
}

// Failed answers what failed: what is new first, then in the order of the report.
func (r TestReport) Failed() []TestResult {
	failed := r.where(func(t TestResult) bool { return t.Outcome == TestFailed })
	slices.SortStableFunc(failed, func(a, b TestResult) int { return rank(a.New) - rank(b.New) })
	return failed
}

func rank(first bool) int {
	if first {
		return 0
	}
	return 1
}

// Flickering answers the tests whose outcome tells little.
func (r TestReport) Flickering() []TestResult {
	return r.where(func(t TestResult) bool { return t.Flickering != "" })
}

// Slowest answers the tests that took longest, at most so many; none that took no time.
func (r TestReport) Slowest(most int) []TestResult {
	slow := r.where(func(t TestResult) bool { return t.Took > 0 })
	slices.SortStableFunc(slow, func(a, b TestResult) int { return cmp.Compare(b.Took, a.Took) })
	return slow[:min(most, len(slow))]
}

func (r TestReport) where(holds func(TestResult) bool) []TestResult {
	found := slices.Clone(r.Results)
	return slices.DeleteFunc(found, func(t TestResult) bool { return !holds(t) })
}

// PastTests are the outcomes of an earlier report of the same step, by TestResult.ID or what stands for it.
type PastTests[K comparable] struct {
	Run      int    // number
	Revision string // that it was of
	Outcomes map[K]TestOutcome
}

const (
	// MostPastTests is how many earlier reports of a branch are looked at for tests that flicker.
	MostPastTests = 20
	// flickers is how many changes of outcome in those make a test flicker.
	flickers = 3
)

// Compare says what is new and what flickers. Past reports are of the same step, newest first: those of the same branch, and
// those of other branches at the same revision. What was there before is not the same report again.
func Compare[K comparable](now TestReport, revision string, key func(TestResult) K, before *PastTests[K], branch, sameRevision []PastTests[K]) TestReport {
	now.Results = slices.Clone(now.Results)
	if before != nil {
		now.Compared = before.Run
	}
	for i := range now.Results {
		r := &now.Results[i]
		k := key(*r)
		if before != nil && r.Outcome == TestFailed && before.Outcomes[k] != TestFailed {
			r.New = true
		}
		switch {
		case r.Flickering != "":
		case hasOtherAt(revision, r.Outcome, k, append(slices.Clone(sameRevision), branch...)):
			r.Flickering = "passed and failed at one revision"
		case changes(r.Outcome, k, branch) >= flickers:
			r.Flickering = "changed again and again in the last runs"
		}
	}
	return now
}

// hasOtherAt says that a test both passed and failed at a revision: at this one, or at one of those before.
func hasOtherAt[K comparable](revision string, now TestOutcome, k K, past []PastTests[K]) bool {
	seen := map[string]TestOutcome{}
	for _, p := range append([]PastTests[K]{{Revision: revision, Outcomes: map[K]TestOutcome{k: now}}}, past...) {
		outcome := p.Outcomes[k]
		if outcome != TestPassed && outcome != TestFailed {
			continue
		}
		if before, known := seen[p.Revision]; known && before != outcome {
			return true
		}
		seen[p.Revision] = outcome
	}
	return false
}

// changes counts how often a test went from passing to failing or back.
func changes[K comparable](now TestOutcome, k K, branch []PastTests[K]) (n int) {
	last := now
	for _, p := range branch {
		outcome := p.Outcomes[k]
		if outcome != TestPassed && outcome != TestFailed {
			continue
		}
		if last != outcome && last != TestSkipped {
			n++
		}
		last = outcome
	}
	return n
}

package flow_test

import (
	"strings"
	"testing"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/flow"
	"github.com/towpath-cd/towpath/internal/report"
	"github.com/towpath-cd/towpath/internal/store"
)

const testedPipeline = `pipeline: shop
on: {push: {branches: ["**"]}}
concurrency: parallel
steps:
  - test: unit
    run: make test
    reports: out/*.xml
`

// tests runs a step whose tests come to what is said of each: "sums+ pays- ships?".
func (m *machine) tests(w *flow.Work, said string) towpath.TestReport {
	m.t.Helper()
	var r towpath.TestReport
	outcome, failed := map[byte]towpath.TestOutcome{'+': towpath.TestPassed, '-': towpath.TestFailed, '?': towpath.TestSkipped}, towpath.AttemptPassed
	for test := range strings.FieldsSeq(said) {
		last := len(test) - 1
		r.Results = append(r.Results, towpath.TestResult{Suite: "cart", Name: test[:last], Outcome: outcome[test[last]]})
		if test[last] == '-' {
			failed = towpath.AttemptFailed
		}
	}
	for range 2 { // the answer to the first was lost
		m.do(m.KeepTests(m.t.Context(), w.Lease, r))
	}
	var kept towpath.TestReport
	m.view(func(tx *store.Tx) error {
		content, err := tx.TestReport(w.Run.ID, w.Step.Name, w.Lease.Attempt)
		if err == nil {
			kept, err = report.Decode(content)
		}
		return err
	})
	m.do(m.report(w, failed))
	m.clock.pass(time.Minute)
	return kept
}

// pushed is the run of a new commit on main, with its step leased.
func (m *machine) pushed(message string) *flow.Work {
	m.t.Helper()
	m.push(message)
	return m.take("unit")
}

func names(results []towpath.TestResult) string {
	var said []string
	for _, r := range results {
		said = append(said, strings.TrimPrefix(r.String(), "cart "))
	}
	return strings.Join(said, ", ")
}

func TestWhatIsNewIsSaidAgainstTheLastRunOfTheBranchOrTheDefaultOne(t *testing.T) {
	t.Parallel()
	h := newHouse(t, testedPipeline)
	m := h.newMachine("worker")
	if got := m.tests(m.pushed("one"), "a- b+ c+"); names(got.Failed()) != "a" || got.Compared != 0 {
		t.Errorf("the first run: %+v", got)
	}
	if got := m.tests(m.pushed("two"), "a- b- c?  d-"); names(got.Failed()) != "b (new), d (new), a" || got.Compared != 1 {
		t.Errorf("the second: %+v", got)
	}
	h.git("checkout", "-q", "-b", "feature")
	h.push("three")
	if got := m.tests(m.take("unit"), "a- b- c-"); names(got.Failed()) != "c (new), a, b" || got.Compared != 2 {
		t.Errorf("the first of a branch: %+v", got)
	}
	h.push("four")
	if got := m.tests(m.take("unit"), "a+ b- c-"); names(got.Failed()) != "b, c" || got.Compared != 3 {
		t.Errorf("the second of a branch: %+v", got)
	}
}

func TestATestFlickersThatChangesAgainAndAgainOrAtOneRevision(t *testing.T) {
	t.Parallel()
	h := newHouse(t, testedPipeline)
	m := h.newMachine("worker")
	m.tests(m.pushed("one"), "a+ b+ c+")
	m.tests(m.pushed("two"), "a- b- c+")
	m.tests(m.pushed("three"), "a+ b- c?")
	if got := m.tests(m.pushed("four"), "a- b- c-"); names(got.Flickering()) != "a (new, flickers)" {
		t.Errorf("it flickers: %+v", got.Flickering())
	}
	good(h.StartRun(t.Context(), flow.Wish{Project: h.project.ID, Branch: "main", By: "ana", Record: unrecorded}))(t)
	h.take()
	if got := m.tests(m.take("unit"), "a+ b+ c-"); names(got.Flickering()) != "a (flickers), b (flickers)" {
		t.Errorf("at the same revision: %+v", got.Flickering())
	}
}

func TestAnAlertNamesTheTestsThatFailed(t *testing.T) {
	t.Parallel()
	h := newHouse(t, testedPipeline)
	m := h.newMachine("worker")
	m.tests(m.pushed("one"), "a+ b+")
	many := strings.Repeat("x- ", 12)
	m.tests(m.pushed("two"), "a- b+ "+many)
	h.settle()
	got := h.receiver.of(towpath.AlertBroke)
	if len(got) != 1 {
		t.Fatalf("%d alerts", len(got))
	}
	for _, want := range []string{`\nunit: 13 of 14 tests failed (13 new)`, `\n  ✗ cart a (new)`, `\n  … and 3 more`} {
		if !strings.Contains(got[0].body, want) {
			t.Errorf("no %q in %s", want, got[0].body)
		}
	}
}

func TestTestsAreTakenOfTheHolderOfALeaseAndGoWithTheirRun(t *testing.T) {
	t.Parallel()
	h := newHouse(t, testedPipeline)
	m := h.newMachine("worker")
	w := m.pushed("one")
	stolen := w.Lease
	stolen.Worker = "another"
	wantCode(t, h.KeepTests(t.Context(), stolen, towpath.TestReport{}), towpath.CodeStale)
	m.tests(w, "a+")
	wantCode(t, h.KeepTests(t.Context(), w.Lease, towpath.TestReport{}), towpath.CodeStale)
	h.clock.pass(keep.Runs + time.Hour)
	h.retain()
	h.view(func(tx *store.Tx) error {
		left, err := tx.TestsOf(w.Run.ID)
		if len(left) > 0 {
			t.Errorf("%+v is left of a run that is forgotten", left)
		}
		return err
	})
}

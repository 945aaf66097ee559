package flow

import (
	"context"
	"fmt"
	"strings"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/report"
	"github.com/towpath-cd/towpath/internal/store"
)

// KeepTests keeps what the tests of an attempt that is leased came to, with what is new and what flickers. The same report
// may come again.
func (c *Conductor) KeepTests(ctx context.Context, l towpath.Lease, tests towpath.TestReport) error {
	return c.update(ctx, func(a *act) error {
		run, step, err := heldStep(a.tx, l)
		if err != nil {
			return err
		}
		if step.Script == nil || step.Script.Reports == nil {
			return towpath.Errorf(towpath.CodeInvalid, "step %q has no reports", l.Step)
		}
		t := store.Tests{
			Run: run.ID, Step: l.Step, Attempt: l.Attempt, Pipeline: run.Pipeline, Number: run.Number,
			Branch: run.Change.Branch, Revision: run.Change.Revision, At: a.at,
		}
		if tests, err = a.compared(run, t, tests); err != nil {
			return err
		}
		t.Totals, t.Outcomes = tests.Totals(), report.EncodeOutcomes(tests)
		if t.Report, err = report.Encode(tests); err != nil {
			return err
		}
		a.ring(TopicRun(run.ID))
		return a.tx.KeepTests(t)
	})
}

// heldStep answers the run and the step of a lease, where its worker holds it.
func heldStep(tx *store.Tx, l towpath.Lease) (run towpath.Run, step towpath.Step, err error) {
	held, err := tx.HeldLease(l.Run, l.Step, l.Attempt)
	if err == nil && held.Worker != l.Worker {
		err = towpath.Errorf(towpath.CodeStale, "attempt %d of %q is not leased to this worker", l.Attempt, l.Step)
	}
	if err == nil {
		run, _, err = tx.Run(l.Run)
	}
	step, _ = run.Step(l.Step)
	return run, step, err
}

// compared holds a report against those before it: what is new against the last run of the same branch, or where there is
// none of the default one.
func (a *act) compared(run towpath.Run, t store.Tests, tests towpath.TestReport) (towpath.TestReport, error) {
	project, _, err := a.tx.Project(run.Project)
	if err != nil {
		return tests, err
	}
	branch, err := a.tx.TestsBefore(t, t.Branch, towpath.MostPastTests)
	if err != nil {
		return tests, err
	}
	sameRevision, err := a.tx.TestsAtRevision(t, towpath.MostPastTests)
	if err != nil {
		return tests, err
	}
	before := ofAnotherRun(branch, run.ID)
	if before == nil {
		others, err := a.tx.TestsBefore(t, project.DefaultBranch, 1)
		if err != nil {
			return tests, err
		}
		before = ofAnotherRun(others, run.ID)
	}
	return towpath.Compare(tests, t.Revision, report.Key, before, past(branch), past(sameRevision)), nil
}

func ofAnotherRun(all []store.Tests, run string) *towpath.PastTests[uint64] {
	for _, t := range all {
		if t.Run != run {
			return &past([]store.Tests{t})[0]
		}
	}
	return nil
}

func past(all []store.Tests) []towpath.PastTests[uint64] {
	found := make([]towpath.PastTests[uint64], len(all))
	for i, t := range all {
		found[i] = towpath.PastTests[uint64]{Run: t.Number, Revision: t.Revision, Outcomes: report.DecodeOutcomes(t.Outcomes)}
	}
	return found
}

// testsTold is how many failed tests an alert names.
const testsTold = 10

// tellTests says for an alert which tests of a run failed; empty where none did.
func tellTests(tx *store.Tx, run string) (string, error) {
	all, err := tx.TestsOf(run)
	if err != nil {
		return "", err
	}
	var told strings.Builder
	for _, t := range all {
		if t.Totals.Failed == 0 {
			continue
		}
		fmt.Fprintf(&told, "\n%s: %s", t.Step, t.Totals)
		content, err := tx.TestReport(run, t.Step, t.Attempt)
		if err != nil {
			return "", err
		}
		tests, err := report.Decode(content)
		if err != nil { // people hear that the run broke all the same
			fmt.Fprintf(&told, "\n  %v", err)
		}
		for i, failed := range tests.Failed() {
			if i == testsTold {
				fmt.Fprintf(&told, "\n  … and %d more", t.Totals.Failed-i)
				break
			}
			fmt.Fprintf(&told, "\n  ✗ %s", failed)
		}
	}
	return told.String(), nil
}

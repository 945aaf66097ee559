package web

import (
	"encoding/json"
	"net/http"
	"slices"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/client"
	"github.com/towpath-cd/towpath/internal/access"
	"github.com/towpath-cd/towpath/internal/report"
	"github.com/towpath-cd/towpath/internal/store"
)

const (
	// maxTests is the size of the largest report that is taken, in bytes. Workers send no more than half of it.
	maxTests = 16 << 20

	// How many tests a page and an answer name.
	failedShown, flickeringShown, slowestShown = 200, 50, 10
)

func (s *Server) registerTests() {
	s.handle("POST "+leases+"tests", s.keepTests)
	api(s, "GET /api/v1/pipelines/{pipeline}/runs/{number}/tests", s.tests)
}

// keepTests takes what the tests of an attempt came to.
func (s *Server) keepTests(w http.ResponseWriter, r *http.Request, caller access.Caller) {
	err := s.takeTests(r, caller)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	writeJSON(w, http.StatusOK, none{})
}

func (s *Server) takeTests(r *http.Request, caller access.Caller) error {
	lease, err := s.heldLease(r, caller)
	if err != nil {
		return err
	}
	var sent client.TestReport
	if err := json.NewDecoder(http.MaxBytesReader(nil, r.Body, maxTests)).Decode(&sent); err != nil {
		return towpath.Errorf(towpath.CodeInvalid, "a test report is JSON of at most %d bytes: %s", maxTests, err)
	}
	tests := towpath.TestReport{LeftOut: sent.LeftOut, Problems: sent.Problems}
	for _, t := range sent.Results {
		if !slices.Contains(towpath.TestOutcomes, towpath.TestOutcome(t.Outcome)) {
			return towpath.Errorf(towpath.CodeInvalid, "%q is no outcome of a test", t.Outcome)
		}
		tests.Results = append(tests.Results, towpath.TestResult{
			Suite: t.Suite, Name: t.Name, Outcome: towpath.TestOutcome(t.Outcome), Took: time.Duration(t.Seconds * float64(time.Second)),
			Message: t.Message, Output: t.Output, Flickering: t.Flickering,
		})
	}
	return s.Flow.KeepTests(r.Context(), lease, tests)
}

func (s *Server) tests(c call[none]) (found []client.StepTests, err error) {
	return s.readTests(c.Request)
}

// readTests answers what the tests of the run came to that the path names.
func (s *Server) readTests(r *http.Request) (found []client.StepTests, err error) {
	err = s.Store.View(r.Context(), func(tx *store.Tx) error {
		run, err := runIn(tx, r)
		if err == nil {
			found, err = testsOfRun(tx, run.ID)
		}
		return err
	})
	return found, err
}

func testsOfRun(tx *store.Tx, run string) ([]client.StepTests, error) {
	found := []client.StepTests{}
	all, err := tx.TestsOf(run)
	if err != nil {
		return nil, err
	}
	for _, t := range all {
		tests, err := stepTests(tx, t)
		if err != nil {
			return nil, err
		}
		found = append(found, tests)
	}
	return found, nil
}

func stepTests(tx *store.Tx, t store.Tests) (client.StepTests, error) {
	content, err := tx.TestReport(t.Run, t.Step, t.Attempt)
	if err != nil {
		return client.StepTests{}, err
	}
	tests, err := report.Decode(content)
	failed, flickering := tests.Failed(), tests.Flickering()
	return client.StepTests{
		Step: t.Step, Attempt: t.Attempt, Totals: totalsOf(t.Totals), LeftOut: tests.LeftOut, Compared: tests.Compared,
		Failed:     testsOf(failed[:min(len(failed), failedShown)]),
		Flickering: testsOf(flickering[:min(len(flickering), flickeringShown)]),
		Slowest:    testsOf(tests.Slowest(slowestShown)), Problems: tests.Problems,
	}, err
}

func totalsOf(t towpath.TestTotals) client.TestTotals {
	return client.TestTotals{
		Passed: t.Passed, Failed: t.Failed, Skipped: t.Skipped, New: t.New, Flickering: t.Flickering, Seconds: t.Took.Seconds(),
		Problems: t.Problems, Said: t.String(),
	}
}

func testsOf(results []towpath.TestResult) []client.Test {
	tests := []client.Test{}
	for _, r := range results {
		tests = append(tests, client.Test{
			Suite: r.Suite, Name: r.Name, Outcome: string(r.Outcome), Seconds: r.Took.Seconds(), Message: r.Message, Output: r.Output,
			New: r.New, Flickering: r.Flickering,
		})
	}
	return tests
}

// totalsBySteps answers the numbers of a run's reports, by step.
func totalsBySteps(tx *store.Tx, run string) (map[string]*client.TestTotals, error) {
	all, err := tx.TestsOf(run)
	totals := map[string]*client.TestTotals{}
	for _, t := range all {
		said := totalsOf(t.Totals)
		totals[t.Step] = &said
	}
	return totals, err
}

// reportsOf is what a step's lease says of its reports.
func reportsOf(d *towpath.ScriptDefinition) *client.Reports {
	if d.Reports == nil {
		return nil
	}
	return &client.Reports{JUnit: d.Reports.JUnit, Required: d.Reports.Required}
}

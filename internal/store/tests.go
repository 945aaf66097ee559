package store

import (
	"time"

	"github.com/towpath-cd/towpath"
)

// Tests is what the tests of one attempt came to.
type Tests struct {
	Run      string // ID
	Step     string
	Attempt  int
	Pipeline string
	Number   int // of the run
	Branch   string
	Revision string
	At       time.Time
	Totals   towpath.TestTotals
	Outcomes []byte // as package report encodes them
	Report   []byte // as package report encodes it; of a list it is not read
}

// KeepTests keeps what the tests of an attempt came to; what was kept of it before is written over.
func (tx *Tx) KeepTests(t Tests) error {
	totals, err := encode(t.Totals)
	if err != nil {
		return err
	}
	_, err = tx.exec(`
		INSERT INTO test_reports (run, step, attempt, pipeline, number, branch, revision, at, totals, outcomes, report)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (run, step, attempt) DO UPDATE SET totals = excluded.totals, outcomes = excluded.outcomes, report = excluded.report`,
		t.Run, t.Step, t.Attempt, t.Pipeline, t.Number, t.Branch, t.Revision, micros(t.At), totals, t.Outcomes, t.Report)
	return err
}

// TestsOf answers what the tests of a run's steps came to, each step's latest attempt, in the order in which they came.
func (tx *Tx) TestsOf(run string) ([]Tests, error) {
	return tx.tests(`run = ? AND attempt = (
		SELECT MAX(latest.attempt) FROM test_reports AS latest WHERE latest.run = test_reports.run AND latest.step = test_reports.step
	) ORDER BY at, step`, run)
}

// TestReport answers the whole report of one attempt.
func (tx *Tx) TestReport(run, step string, attempt int) ([]byte, error) {
	return one(tx, missing("test report", "of "+step), func(r row) (report []byte, err error) { return report, r.Scan(&report) },
		"SELECT report FROM test_reports WHERE run = ? AND step = ? AND attempt = ?", run, step, attempt)
}

// TestsBefore answers the reports of the same step on a branch, newest first, without that of the same attempt.
func (tx *Tx) TestsBefore(t Tests, branch string, limit int) ([]Tests, error) {
	return tx.tests("pipeline = ? AND step = ? AND branch = ? AND NOT (run = ? AND attempt = ?) ORDER BY at DESC LIMIT ?",
		t.Pipeline, t.Step, branch, t.Run, t.Attempt, limit)
}

// TestsAtRevision answers the reports of the same step at the same revision, newest first, without that of the same attempt.
func (tx *Tx) TestsAtRevision(t Tests, limit int) ([]Tests, error) {
	return tx.tests("pipeline = ? AND step = ? AND revision = ? AND NOT (run = ? AND attempt = ?) ORDER BY at DESC LIMIT ?",
		t.Pipeline, t.Step, t.Revision, t.Run, t.Attempt, limit)
}

func (tx *Tx) tests(condition string, args ...any) ([]Tests, error) {
	return all(tx, scanTests, `
		SELECT run, step, attempt, pipeline, number, branch, revision, at, totals, outcomes FROM test_reports WHERE `+condition, args...)
}

func scanTests(r row) (Tests, error) {
	var t Tests
	var at int64
	var totals string
	err := r.Scan(&t.Run, &t.Step, &t.Attempt, &t.Pipeline, &t.Number, &t.Branch, &t.Revision, &at, &totals, &t.Outcomes)
	if err != nil {
		return t, err
	}
	t.At = moment(at)
	t.Totals, err = decode[towpath.TestTotals](totals)
	return t, err
}

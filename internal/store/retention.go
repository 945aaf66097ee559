package store

import (
	"errors"
	"fmt"
	"time"

	"github.com/towpath-cd/towpath"
)

// Policy says what may go: what is older, and what is beyond the count. Both zero is nothing.
type Policy struct {
	Before time.Time // runs that ended before; zero: age does not matter
	Newest int       // runs of each pipeline that stay; those beyond may go. 0: the count does not matter
}

// Removable is a run of which something may go.
type Removable struct {
	Run      string // ID
	Pipeline string
	Number   int
}

// RemovableRuns answers the runs that the policy lets go, oldest first. It never names a run that has not ended, nor one
// whose release is live, wanted, on standby, pinned, or in the history of an environment.
func (tx *Tx) RemovableRuns(p Policy, limit int) ([]Removable, error) {
	return tx.removable(p, limit, "1 = 1")
}

// RemovableLogs answers those of RemovableRuns that still have logs.
func (tx *Tx) RemovableLogs(p Policy, limit int) ([]Removable, error) {
	return tx.removable(p, limit, "EXISTS (SELECT 1 FROM logs WHERE logs.run = runs.id)")
}

// RemovableArtifacts answers those of RemovableRuns that still have artifacts.
func (tx *Tx) RemovableArtifacts(p Policy, limit int) ([]Removable, error) {
	return tx.removable(p, limit, "EXISTS (SELECT 1 FROM artifacts WHERE artifacts.run = runs.id)")
}

// ForgetRun forgets a run with its release, approvals, logs and artifacts.
func (tx *Tx) ForgetRun(id string) error {
	return tx.must(missing("run", id), "DELETE FROM runs WHERE id = ?", id)
}

// ForgetLogs forgets what is known of a run's logs.
func (tx *Tx) ForgetLogs(run string) error {
	_, err := tx.exec("DELETE FROM logs WHERE run = ?", run)
	return err
}

// ForgetArtifacts forgets a run's artifacts: its release cannot be deployed any more.
func (tx *Tx) ForgetArtifacts(run string) error {
	_, err := tx.exec("DELETE FROM artifacts WHERE run = ?", run)
	return err
}

// errEnough ends a scan.
var errEnough = errors.New("enough")

func (tx *Tx) removable(p Policy, limit int, condition string) ([]Removable, error) {
	kept, err := tx.keptRuns()
	if err != nil {
		return nil, fmt.Errorf("find the runs whose releases environments know: %w", err)
	}
	var found []Removable
	err = tx.each(func(r row) error {
		var candidate Removable
		if err := r.Scan(&candidate.Run, &candidate.Pipeline, &candidate.Number); err != nil || kept[candidate.Run] {
			return err
		}
		if found = append(found, candidate); len(found) == limit {
			return errEnough
		}
		return nil
	}, `
		SELECT runs.id, runs.pipeline, runs.number
		FROM runs JOIN pipelines ON pipelines.name = runs.pipeline
		WHERE runs.state NOT IN (?, ?) AND `+condition+`
			AND (runs.finished < ? OR (? > 0 AND runs.number <= pipelines.runs - ?))
		ORDER BY runs.created, runs.number`,
		string(towpath.RunWaiting), string(towpath.RunRunning), micros(p.Before), p.Newest, p.Newest)
	if errors.Is(err, errEnough) {
		err = nil
	}
	return found, err
}

// keptRuns answers the IDs of the runs that made a release which an environment could need again. A run may have made
// several: all of it stays for one of them.
func (tx *Tx) keptRuns() (map[string]bool, error) {
	environments, err := tx.Environments(EnvironmentFilter{})
	if err != nil {
		return nil, err
	}
	kept := map[string]bool{}
	for _, e := range environments {
		for _, ref := range releasesOf(e) {
			runs, err := all(tx, text, "SELECT run FROM releases WHERE pipeline = ? AND number = ?", e.Pipeline, ref.Number)
			if err != nil {
				return nil, err
			}
			for _, run := range runs {
				kept[run] = true
			}
		}
	}
	return kept, nil
}

func releasesOf(e towpath.Environment) []towpath.ReleaseRef {
	refs := append([]towpath.ReleaseRef{e.Goal, e.Live}, e.History...)
	if e.Pin != nil {
		refs = append(refs, e.Pin.From)
	}
	if e.Deployment != nil {
		refs = append(refs, e.Deployment.Release, e.Deployment.From)
	}
	for _, d := range e.Queue {
		refs = append(refs, d.Release)
	}
	return refs
}

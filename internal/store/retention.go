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
	kept, err := tx.keptReleases()
	if err != nil {
		return nil, fmt.Errorf("find the releases that environments know: %w", err)
	}
	var found []Removable
	err = tx.each(func(r row) error {
		var candidate Removable
		var release int
		if err := r.Scan(&candidate.Run, &candidate.Pipeline, &candidate.Number, &release); err != nil {
			return err
		}
		if kept[releaseKey{candidate.Pipeline, release}] {
			return nil
		}
		if found = append(found, candidate); len(found) == limit {
			return errEnough
		}
		return nil
	}, `
		SELECT runs.id, runs.pipeline, runs.number, COALESCE(releases.number, 0)
		FROM runs JOIN pipelines ON pipelines.name = runs.pipeline LEFT JOIN releases ON releases.run = runs.id
		WHERE runs.state <> ? AND `+condition+`
			AND (runs.finished < ? OR (? > 0 AND runs.number <= pipelines.runs - ?))
		ORDER BY runs.created, runs.number`,
		string(towpath.RunRunning), micros(p.Before), p.Newest, p.Newest)
	if errors.Is(err, errEnough) {
		err = nil
	}
	return found, err
}

type releaseKey struct {
	pipeline string
	number   int
}

// keptReleases answers every release that an environment could need again.
func (tx *Tx) keptReleases() (map[releaseKey]bool, error) {
	environments, err := tx.Environments(EnvironmentFilter{})
	if err != nil {
		return nil, err
	}
	kept := map[releaseKey]bool{}
	for _, e := range environments {
		for _, ref := range releasesOf(e) {
			if ref.Number > 0 {
				kept[releaseKey{e.Pipeline, ref.Number}] = true
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

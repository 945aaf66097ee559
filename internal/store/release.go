package store

import (
	"fmt"

	"github.com/towpath-cd/towpath"
)

// CreateRelease adds a release. It answers ErrExists where its number is taken.
func (tx *Tx) CreateRelease(r towpath.Release) error {
	doc, err := encode(r)
	if err != nil {
		return err
	}
	return tx.must(taken("release", fmt.Sprintf("%d of %s", r.Number, r.Pipeline)), `
		INSERT INTO releases (pipeline, number, project, run, created, doc) VALUES (?, ?, ?, ?, ?, ?)
		ON CONFLICT DO NOTHING`, r.Pipeline, r.Number, r.Project, r.Run, micros(r.CreatedAt), doc)
}

// Release answers a release by its number in its pipeline.
func (tx *Tx) Release(pipeline string, n int) (towpath.Release, error) {
	return one(tx, missing("release", n), document[towpath.Release],
		"SELECT doc FROM releases WHERE pipeline = ? AND number = ?", pipeline, n)
}

// ReleasesOfRun answers the releases that a run made, oldest first: one for each set of artifacts that it deployed.
func (tx *Tx) ReleasesOfRun(run string) ([]towpath.Release, error) {
	return all(tx, document[towpath.Release], "SELECT doc FROM releases WHERE run = ? ORDER BY number", run)
}

// ReleaseFilter says which releases are wanted. What is left empty does not matter.
type ReleaseFilter struct {
	Projects []string // IDs; nil is every project, an empty list is none
	Pipeline string
	Older    int // only numbers below this one
	Limit    int // 0 is a thousand
}

// Releases answers releases, newest first.
func (tx *Tx) Releases(f ReleaseFilter) ([]towpath.Release, error) {
	var c conditions
	c.in("project", f.Projects)
	c.equal("pipeline", f.Pipeline)
	if f.Older > 0 {
		c.add("number < ?", f.Older)
	}
	return all(tx, document[towpath.Release],
		"SELECT doc FROM releases"+c.where()+" ORDER BY created DESC, number DESC LIMIT ?", c.limited(f.Limit)...)
}

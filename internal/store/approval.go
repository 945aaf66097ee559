package store

import (
	"time"

	"github.com/towpath-cd/towpath"
)

// CreateApproval adds a request. One that was asked already, by its ID, stays as it is.
func (tx *Tx) CreateApproval(a towpath.Approval) error {
	doc, err := encode(a)
	if err != nil {
		return err
	}
	_, err = tx.exec(`
		INSERT INTO approvals (id, project, run, state, asked, expires, version, doc)
		VALUES (?, ?, ?, ?, ?, ?, 1, ?) ON CONFLICT (id) DO NOTHING`,
		a.ID, a.Project, a.Run, string(a.State), micros(a.AskedAt), micros(a.ExpiresAt), doc)
	return err
}

// Approval answers a request by its ID, with its version.
func (tx *Tx) Approval(id string) (towpath.Approval, int, error) {
	return load[towpath.Approval](tx, missing("approval", id), "SELECT doc, version FROM approvals WHERE id = ?", id)
}

// SaveApproval stores a request that was loaded at that version.
func (tx *Tx) SaveApproval(a towpath.Approval, version int) error {
	doc, err := encode(a)
	if err != nil {
		return err
	}
	return tx.must(ErrConflict,
		"UPDATE approvals SET state = ?, expires = ?, doc = ?, version = version + 1 WHERE id = ? AND version = ?",
		string(a.State), micros(a.ExpiresAt), doc, a.ID, version)
}

// ApprovalFilter says which requests are wanted. What is left empty does not matter.
type ApprovalFilter struct {
	Projects []string // IDs; nil is every project, an empty list is none
	Run      string   // run's ID
	States   []towpath.ApprovalState
	Limit    int // 0 is a thousand
}

// Approvals answers requests, newest first.
func (tx *Tx) Approvals(f ApprovalFilter) ([]towpath.Approval, error) {
	var c conditions
	c.in("project", f.Projects)
	c.equal("run", f.Run)
	c.in("state", texts(f.States))
	return all(tx, document[towpath.Approval],
		"SELECT doc FROM approvals"+c.where()+" ORDER BY asked DESC, id DESC LIMIT ?", c.limited(f.Limit)...)
}

// ExpiredApprovals answers the requests that wait although their time is over.
func (tx *Tx) ExpiredApprovals(now time.Time, limit int) ([]towpath.Approval, error) {
	var c conditions
	c.add("state = ?", string(towpath.ApprovalWaiting))
	c.add("expires <= ?", micros(now))
	return all(tx, document[towpath.Approval],
		"SELECT doc FROM approvals"+c.where()+" ORDER BY expires LIMIT ?", c.limited(limit)...)
}

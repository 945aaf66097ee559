package store

import (
	"errors"

	"github.com/towpath-cd/towpath"
)

// SaveChronicle keeps what is told of a deployment, which has to be recorded.
func (tx *Tx) SaveChronicle(a towpath.Chronicle) error {
	doc, err := encode(a)
	if err != nil {
		return err
	}
	complete := 0
	if a.Commits != nil {
		complete = 1
	}
	_, err = tx.exec(`
		INSERT INTO chronicles (deployment, complete, doc) VALUES (?, ?, ?)
		ON CONFLICT (deployment) DO UPDATE SET complete = excluded.complete, doc = excluded.doc`, a.Deployment, complete, doc)
	return err
}

// Chronicle answers what is told of a deployment; the zero value where it was recorded by a release that kept nothing.
func (tx *Tx) Chronicle(deployment string) (towpath.Chronicle, error) {
	a, err := one(tx, ErrNotFound, document[towpath.Chronicle], "SELECT doc FROM chronicles WHERE deployment = ?", deployment)
	if errors.Is(err, ErrNotFound) {
		return towpath.Chronicle{Deployment: deployment}, nil
	}
	return a, err
}

// IncompleteChronicles answers those whose commits are to be looked up.
func (tx *Tx) IncompleteChronicles(limit int) ([]towpath.Chronicle, error) {
	return all(tx, document[towpath.Chronicle],
		"SELECT doc FROM chronicles WHERE complete = 0 ORDER BY deployment LIMIT ?", limit)
}

// AddToJournal keeps what a keeper did. What is told twice is kept once.
func (tx *Tx) AddToJournal(e towpath.JournalEntry) error {
	doc, err := encode(e)
	if err != nil {
		return err
	}
	_, err = tx.exec("INSERT INTO journal (deployment, began, operation, doc) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
		e.Deployment, micros(e.Began), e.Operation, doc)
	return err
}

// Journal answers what was done in a deployment, in its order, at most limit entries.
func (tx *Tx) Journal(deployment string, limit int) ([]towpath.JournalEntry, error) {
	return all(tx, document[towpath.JournalEntry],
		"SELECT doc FROM journal WHERE deployment = ? ORDER BY began, operation LIMIT ?", deployment, limit)
}

// JournalLength answers how many entries there are.
func (tx *Tx) JournalLength(deployment string) (int, error) {
	return one(tx, ErrNotFound, number, "SELECT count(*) FROM journal WHERE deployment = ?", deployment)
}

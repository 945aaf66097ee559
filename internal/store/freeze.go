package store

import (
	"time"

	"github.com/towpath-cd/towpath"
)

// SaveFreeze keeps a freeze that reaches further than one environment, in place of one of the same.
func (tx *Tx) SaveFreeze(f towpath.Freeze) error {
	doc, err := encode(f)
	if err != nil {
		return err
	}
	_, err = tx.exec(`
		INSERT INTO freezes (scope, of, until, doc) VALUES (?, ?, ?, ?)
		ON CONFLICT (scope, of) DO UPDATE SET until = excluded.until, doc = excluded.doc`,
		string(f.Scope), f.Of, micros(f.Until), doc)
	return err
}

// Freezes answers those that reach further than one environment.
func (tx *Tx) Freezes() ([]towpath.Freeze, error) {
	return all(tx, document[towpath.Freeze], "SELECT doc FROM freezes ORDER BY scope, of")
}

// DeleteFreeze ends a freeze.
func (tx *Tx) DeleteFreeze(scope towpath.FreezeScope, of string) error {
	return tx.must(missing("freeze", of), "DELETE FROM freezes WHERE scope = ? AND of = ?", string(scope), of)
}

// ExpireFreezes forgets those that have run out.
func (tx *Tx) ExpireFreezes(now time.Time) error {
	_, err := tx.exec("DELETE FROM freezes WHERE until > 0 AND until <= ?", micros(now))
	return err
}

package store

import "github.com/towpath-cd/towpath"

// keptErrands is how many commands of an environment are told of. The audit has all.
const keptErrands = 500

// SaveErrand keeps a command of a person as it now is, and forgets the oldest of its environment.
func (tx *Tx) SaveErrand(e towpath.Errand) error {
	doc, err := encode(e)
	if err != nil {
		return err
	}
	if _, err := tx.exec(`
		INSERT INTO errands (id, environment, requested, ended, doc) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT (id) DO UPDATE SET ended = excluded.ended, doc = excluded.doc`,
		e.ID, e.Environment, micros(e.RequestedAt), micros(e.EndedAt), doc); err != nil {
		return err
	}
	_, err = tx.exec(`
		DELETE FROM errands WHERE environment = ? AND ended > 0 AND id NOT IN (
			SELECT id FROM errands WHERE environment = ? ORDER BY requested DESC, id LIMIT ?)`,
		e.Environment, e.Environment, keptErrands)
	return err
}

// Errand answers a command of a person.
func (tx *Tx) Errand(id string) (towpath.Errand, error) {
	return one(tx, missing("command", id), document[towpath.Errand], "SELECT doc FROM errands WHERE id = ?", id)
}

// Errands answers the newest commands of an environment, the newest first.
func (tx *Tx) Errands(environment string, limit int) ([]towpath.Errand, error) {
	return all(tx, document[towpath.Errand],
		"SELECT doc FROM errands WHERE environment = ? ORDER BY requested DESC, id LIMIT ?", environment, limit)
}

// OpenErrands answers all commands that have not ended, the oldest first.
func (tx *Tx) OpenErrands() ([]towpath.Errand, error) {
	return all(tx, document[towpath.Errand], "SELECT doc FROM errands WHERE ended = 0 ORDER BY requested, id")
}

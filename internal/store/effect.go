package store

import (
	"fmt"
	"time"

	"github.com/towpath-cd/towpath"
)

// DueEffect is an effect that has to be carried out.
type DueEffect struct {
	Effect    towpath.Effect
	Attempts  int    // that have failed
	LastError string // of the last attempt
}

// AddEffects keeps effects to be carried out from at on, in this order. One whose key is known already, done or not, is
// left out.
func (tx *Tx) AddEffects(at time.Time, effects ...towpath.Effect) error {
	for _, e := range effects {
		kind, err := effectKind(e)
		if err != nil {
			return err
		}
		doc, err := encode(e)
		if err != nil {
			return err
		}
		if _, err := tx.exec(`
			INSERT INTO effects (key, kind, doc, due, attempts, last_error, done_at)
			VALUES (?, ?, ?, ?, 0, '', 0) ON CONFLICT (key) DO NOTHING`, e.Key(), kind, doc, micros(at)); err != nil {
			return fmt.Errorf("add effect %s: %w", e.Key(), err)
		}
	}
	return nil
}

// furthestDue is further ahead than any effect is put off.
const furthestDue = time.Hour

// DueEffects answers the effects that are due, in the order in which they were added. One that is put off further than
// any is was put off by a clock that was set back since, and is due as well.
func (tx *Tx) DueEffects(now time.Time, limit int) ([]DueEffect, error) {
	var c conditions
	c.add("(due <= ? OR due > ?)", micros(now), micros(now.Add(furthestDue)))
	return all(tx, scanEffect, `
		SELECT kind, doc, attempts, last_error FROM effects
		WHERE done_at = 0 AND (due <= ? OR due > ?) ORDER BY seq LIMIT ?`, c.limited(limit)...)
}

// NextEffect answers when the next effect becomes due; the zero time where there is none.
func (tx *Tx) NextEffect() (time.Time, error) {
	due, err := one(tx, nil, number, "SELECT COALESCE(MIN(due), 0) FROM effects WHERE done_at = 0")
	return moment(int64(due)), err
}

// EffectDone notes that an effect was carried out. Called in the update that holds its consequence, it makes the effect
// happen exactly once: a second call answers CodeStale, which undoes that update.
func (tx *Tx) EffectDone(key string, at time.Time) error {
	return tx.must(towpath.Errorf(towpath.CodeStale, "effect %s is done already", key),
		"UPDATE effects SET done_at = ?, last_error = '' WHERE key = ? AND done_at = 0", micros(at), key)
}

// EffectFailed notes that an attempt failed and when the next one is due.
func (tx *Tx) EffectFailed(key string, cause error, next time.Time) error {
	_, err := tx.exec(`
		UPDATE effects SET attempts = attempts + 1, last_error = ?, due = ? WHERE key = ? AND done_at = 0`,
		cause.Error(), micros(next), key)
	return err
}

// ForgetEffects forgets effects that were done before that time, and answers how many. Their keys may be added again.
func (tx *Tx) ForgetEffects(before time.Time) (int, error) {
	return tx.exec("DELETE FROM effects WHERE done_at > 0 AND done_at < ?", micros(before))
}

func scanEffect(r row) (DueEffect, error) {
	var kind, doc string
	var e DueEffect
	if err := r.Scan(&kind, &doc, &e.Attempts, &e.LastError); err != nil {
		return e, err
	}
	effect, err := decodeEffect(kind, doc)
	e.Effect = effect
	return e, err
}

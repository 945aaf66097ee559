package store

import (
	"time"

	"github.com/towpath-cd/towpath"
)

// KnownWorker is a worker that has registered.
type KnownWorker struct {
	towpath.Worker
	Draining bool // it gets no new steps
}

// RegisterWorker adds a worker, or lets a known one (by its ID) come back with a new key. The key's hash is hexadecimal.
// It answers ErrExists where another worker has the name.
func (tx *Tx) RegisterWorker(w towpath.Worker, keyHash string) error {
	doc, err := encode(w)
	if err != nil {
		return err
	}
	others, err := all(tx, text, "SELECT id FROM workers WHERE name = ? AND id <> ?", w.Name, w.ID)
	if err != nil || len(others) > 0 {
		return orTaken(err, "worker", w.Name)
	}
	_, err = tx.exec(`
		INSERT INTO workers (id, name, key_hash, seen_at, draining, doc) VALUES (?, ?, ?, ?, 0, ?)
		ON CONFLICT (id) DO UPDATE SET name = excluded.name, key_hash = excluded.key_hash,
			seen_at = excluded.seen_at, doc = excluded.doc`, w.ID, w.Name, keyHash, micros(w.SeenAt), doc)
	return err
}

func orTaken(err error, what, name string) error {
	if err != nil {
		return err
	}
	return taken(what, name)
}

// Worker answers a worker by its ID.
func (tx *Tx) Worker(id string) (KnownWorker, error) {
	return one(tx, missing("worker", id), scanWorker, selectWorkers+" WHERE id = ?", id)
}

// WorkerByKey answers the worker that a key belongs to.
func (tx *Tx) WorkerByKey(keyHash string) (KnownWorker, error) {
	return one(tx, missing("worker", "with this key"), scanWorker, selectWorkers+" WHERE key_hash = ?", keyHash)
}

// Workers answers every worker, by name.
func (tx *Tx) Workers() ([]KnownWorker, error) {
	return all(tx, scanWorker, selectWorkers+" ORDER BY name")
}

// SeeWorker notes that a worker was heard of, and what it said of itself.
func (tx *Tx) SeeWorker(w towpath.Worker) error {
	doc, err := encode(w)
	if err != nil {
		return err
	}
	return tx.must(missing("worker", w.ID), "UPDATE workers SET seen_at = ?, doc = ? WHERE id = ?",
		micros(w.SeenAt), doc, w.ID)
}

// DrainWorker says whether a worker gets new steps.
func (tx *Tx) DrainWorker(id string, draining bool) error {
	return tx.must(missing("worker", id), "UPDATE workers SET draining = ? WHERE id = ?", bit(draining), id)
}

// DeleteWorker forgets a worker and with it its key. What it holds runs out by itself.
func (tx *Tx) DeleteWorker(id string) error {
	return tx.must(missing("worker", id), "DELETE FROM workers WHERE id = ?", id)
}

// AddRegistration keeps the hash of a token by which one worker can register until it expires.
func (tx *Tx) AddRegistration(hash, by string, expires time.Time) error {
	_, err := tx.exec("INSERT INTO registrations (hash, made_by, expires) VALUES (?, ?, ?)", hash, by, micros(expires))
	return err
}

// UseRegistration takes a token, once. CodeUnauthorized says that there is none, or that it has expired.
func (tx *Tx) UseRegistration(hash string, now time.Time) error {
	return tx.must(towpath.Errorf(towpath.CodeUnauthorized, "the registration token is used, expired or wrong").
		WithHint("ask an administrator for a new one"),
		"DELETE FROM registrations WHERE hash = ? AND expires > ?", hash, micros(now))
}

const selectWorkers = "SELECT doc, draining FROM workers"

func scanWorker(r row) (KnownWorker, error) {
	var w KnownWorker
	var doc string
	var draining int
	if err := r.Scan(&doc, &draining); err != nil {
		return w, err
	}
	worker, err := decode[towpath.Worker](doc)
	w.Worker, w.Draining = worker, draining != 0
	return w, err
}

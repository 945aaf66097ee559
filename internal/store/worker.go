package store

import (
	"slices"
	"time"

	"github.com/towpath-cd/towpath"
)

// KnownWorker is a worker that has registered. Its labels are those that it has by all that was said.
type KnownWorker struct {
	towpath.Worker
	Draining  bool     // it gets no new steps
	DrainedBy string   // who said so
	Told      []string // labels that it gave itself
	Added     []string // labels that an administrator gave it besides
	Removed   []string // labels that an administrator took from it
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

// SeeWorker notes that a worker was heard of. It is no error that it was removed meanwhile.
func (tx *Tx) SeeWorker(id string, at time.Time) error {
	_, err := tx.exec("UPDATE workers SET seen_at = ? WHERE id = ? AND seen_at < ?", micros(at), id, micros(at))
	return err
}

// DescribeWorker keeps what a worker says of itself; its labels are those that it gives itself.
func (tx *Tx) DescribeWorker(w towpath.Worker) error {
	doc, err := encode(w)
	if err != nil {
		return err
	}
	return tx.must(missing("worker", w.ID), "UPDATE workers SET doc = ? WHERE id = ?", doc, w.ID)
}

// LabelWorker sets what labels a worker has besides those that it gives itself, and which of those it has not.
func (tx *Tx) LabelWorker(id string, added, removed []string) error {
	more, err := encode(added)
	if err != nil {
		return err
	}
	less, err := encode(removed)
	if err != nil {
		return err
	}
	return tx.must(missing("worker", id), "UPDATE workers SET added = ?, removed = ? WHERE id = ?", more, less, id)
}

// DrainWorker says whether a worker gets new steps, and who wants it so.
func (tx *Tx) DrainWorker(id string, draining bool, by string) error {
	if !draining {
		by = ""
	}
	return tx.must(missing("worker", id), "UPDATE workers SET draining = ?, drained_by = ? WHERE id = ?", bit(draining), by, id)
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

const selectWorkers = "SELECT doc, seen_at, draining, drained_by, added, removed FROM workers"

func scanWorker(r row) (w KnownWorker, err error) {
	var doc, added, removed string
	var draining int
	var seen int64
	if err := r.Scan(&doc, &seen, &draining, &w.DrainedBy, &added, &removed); err != nil {
		return w, err
	}
	if w.Worker, err = decode[towpath.Worker](doc); err != nil {
		return w, err
	}
	if w.Added, err = decode[[]string](added); err != nil {
		return w, err
	}
	if w.Removed, err = decode[[]string](removed); err != nil {
		return w, err
	}
	w.SeenAt, w.Draining, w.Told = moment(seen), draining != 0, w.Labels
	w.Labels = labelsOf(w)
	return w, nil
}

// labelsOf answers the labels that a worker has: its own and those added, without those removed.
func labelsOf(w KnownWorker) []string {
	if len(w.Added)+len(w.Removed) == 0 {
		return w.Told
	}
	labels := slices.DeleteFunc(slices.Concat(w.Told, w.Added), func(label string) bool {
		return slices.Contains(w.Removed, label)
	})
	slices.Sort(labels)
	return slices.Compact(labels)
}

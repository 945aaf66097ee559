package store

import (
	"time"

	"github.com/towpath-cd/towpath"
)

// Lease gives a queued attempt to a worker. CodeStale says that another was faster, or that it was taken back.
func (tx *Tx) Lease(l towpath.Lease, at time.Time) error {
	if err := tx.lease(l, at); err != nil {
		return err
	}
	if _, err := tx.exec("UPDATE queue SET begun = 1 WHERE run = ? AND begun = 0", l.Run); err != nil {
		return err
	}
	_, err := tx.exec(`
		UPDATE lanes SET served = ? WHERE pipeline = (SELECT pipeline FROM runs WHERE id = ?)`, micros(at), l.Run)
	return err
}

func (tx *Tx) lease(l towpath.Lease, at time.Time) error {
	return tx.must(towpath.Errorf(towpath.CodeStale, "attempt %d of %q is not free any more", l.Attempt, l.Step), `
		UPDATE queue SET worker = ?, call = ?, leased_at = ?, expires = ?, log_limit = ?
		WHERE run = ? AND step = ? AND attempt = ? AND worker = ''`,
		l.Worker, l.Call, micros(at), micros(l.Expires), l.LogLimit, l.Run, l.Step, l.Attempt)
}

// Renew moves a lease's expiry, and answers why its step should stop; empty where it should not. CodeStale says that the
// worker does not hold it any more.
func (tx *Tx) Renew(l towpath.Lease) (stop string, err error) {
	return one(tx, lapsed(l), text, `
		UPDATE queue SET expires = ? WHERE run = ? AND step = ? AND attempt = ? AND worker = ? RETURNING stop`,
		micros(l.Expires), l.Run, l.Step, l.Attempt, l.Worker)
}

// StopLease asks the worker that holds an attempt to end it: it learns the reason when it renews. It says whether any
// worker holds it. The first reason stays.
func (tx *Tx) StopLease(run, step string, attempt int, reason string) (bool, error) {
	n, err := tx.exec(`
		UPDATE queue SET stop = CASE WHEN stop = '' THEN ? ELSE stop END
		WHERE run = ? AND step = ? AND attempt = ? AND worker <> ''`, reason, run, step, attempt)
	return n > 0, err
}

// HeldLease answers the lease of an attempt; CodeStale where no worker holds it.
func (tx *Tx) HeldLease(run, step string, attempt int) (towpath.Lease, error) {
	return one(tx, lapsed(towpath.Lease{Step: step, Attempt: attempt}), scanLease,
		selectLeases+" AND run = ? AND step = ? AND attempt = ?", run, step, attempt)
}

// LeaseOfCall answers the lease that a worker's call was answered with, and whether there is one that it still holds.
func (tx *Tx) LeaseOfCall(worker, call string) (towpath.Lease, bool, error) {
	found, err := all(tx, scanLease, selectLeases+" AND worker = ? AND call = ?", worker, call)
	if err != nil || len(found) == 0 {
		return towpath.Lease{}, false, err
	}
	return found[0], true, nil
}

// Finish ends a lease: its worker has reported. CodeStale says that the worker does not hold it any more.
func (tx *Tx) Finish(l towpath.Lease) error {
	return tx.must(lapsed(l), "DELETE FROM queue WHERE run = ? AND step = ? AND attempt = ? AND worker = ?",
		l.Run, l.Step, l.Attempt, l.Worker)
}

// Expire ends a lease that has run out by now. CodeStale says that it was renewed or finished after all.
func (tx *Tx) Expire(l towpath.Lease, now time.Time) error {
	return tx.must(lapsed(l), `
		DELETE FROM queue WHERE run = ? AND step = ? AND attempt = ? AND worker = ? AND expires <= ?`,
		l.Run, l.Step, l.Attempt, l.Worker, micros(now))
}

// Expired answers the leases that have run out, the oldest first.
func (tx *Tx) Expired(now time.Time, limit int) ([]towpath.Lease, error) {
	var c conditions
	c.add("expires <= ?", micros(now))
	return all(tx, scanLease, selectLeases+" AND expires <= ? ORDER BY expires LIMIT ?", c.limited(limit)...)
}

// LeasesOf answers what a worker holds.
func (tx *Tx) LeasesOf(worker string) ([]towpath.Lease, error) {
	return all(tx, scanLease, selectLeases+" AND worker = ? ORDER BY leased_at, run, step", worker)
}

// Leases answers what all workers hold.
func (tx *Tx) Leases() ([]towpath.Lease, error) {
	return all(tx, scanLease, selectLeases+" ORDER BY leased_at, run, step")
}

// ExtendLeases moves every lease's expiry: a worker could not renew while no server was there to take it. None lasts
// longer than the given time then: one may have been renewed since, or by a clock that was set back.
func (tx *Tx) ExtendLeases(by time.Duration, atMost time.Time) error {
	_, err := tx.exec("UPDATE queue SET expires = MIN(expires + ?, ?) WHERE worker <> ''",
		max(0, by).Microseconds(), micros(atMost))
	return err
}

// Beat notes that the server is alive.
func (tx *Tx) Beat(at time.Time) error {
	_, err := tx.exec(`
		INSERT INTO heartbeats (name, at) VALUES ('server', ?) ON CONFLICT (name) DO UPDATE SET at = excluded.at`,
		micros(at))
	return err
}

// LastBeat answers when a server was last alive; the zero time on a new database.
func (tx *Tx) LastBeat() (time.Time, error) {
	found, err := all(tx, number, "SELECT at FROM heartbeats WHERE name = 'server'")
	if err != nil || len(found) == 0 {
		return time.Time{}, err
	}
	return moment(int64(found[0])), nil
}

const selectLeases = "SELECT run, step, attempt, worker, call, expires, log_limit FROM queue WHERE worker <> ''"

func scanLease(r row) (towpath.Lease, error) {
	var l towpath.Lease
	var expires int64
	err := r.Scan(&l.Run, &l.Step, &l.Attempt, &l.Worker, &l.Call, &expires, &l.LogLimit)
	l.Expires = moment(expires)
	return l, err
}

func lapsed(l towpath.Lease) error {
	return towpath.Errorf(towpath.CodeStale, "attempt %d of %q is no longer leased to this worker", l.Attempt, l.Step)
}

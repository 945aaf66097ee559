// Package queue is leg 3 on the server: attempts of steps that are ready, the workers that fit them, and their leases.
// It keeps no state of its own; every function works in the caller's transaction.
package queue

import (
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/store"
)

// LeaseTime is how long a lease lasts without a renewal, and RenewEvery how often a worker renews. A worker that was
// killed is noticed within LeaseTime and one sweep (a second), which keeps the promise of 15 s.
const (
	LeaseTime  = 12 * time.Second
	RenewEvery = 4 * time.Second
)

// Take leases to the worker the attempt that is its turn, as the answer to that call of it. It answers false where there
// is none.
func Take(tx *store.Tx, w towpath.Worker, call string, at time.Time) (towpath.Lease, bool, error) {
	lanes, err := tx.Lanes()
	if err != nil {
		return towpath.Lease{}, false, err
	}
	q, found := Next(lanes, w)
	if !found {
		return towpath.Lease{}, false, nil
	}
	l := towpath.Lease{Run: q.Run, Step: q.Step, Attempt: q.Attempt, Worker: w.ID, Call: call, Expires: at.Add(LeaseTime)}
	return l, true, tx.Lease(l, at)
}

// NothingFor says that no attempt waits that the worker could take now.
func NothingFor(tx *store.Tx, w towpath.Worker) (bool, error) {
	lanes, err := tx.Lanes()
	_, found := Next(lanes, w)
	return !found, err
}

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

// Call is a worker's call for a step.
type Call struct {
	Worker   towpath.Worker
	ID       string // the worker's name of it; empty: it gave none
	LogLimit int64  // of what it is leased, in bytes; 0: the worker's own
}

// Take leases to the worker that calls the attempt that is its turn. It answers false where there is none.
func Take(tx *store.Tx, c Call, at time.Time) (towpath.Lease, bool, error) {
	lanes, err := tx.Lanes()
	if err != nil {
		return towpath.Lease{}, false, err
	}
	q, found := Next(lanes, c.Worker)
	if !found {
		return towpath.Lease{}, false, nil
	}
	l := towpath.Lease{
		Run: q.Run, Step: q.Step, Attempt: q.Attempt, Worker: c.Worker.ID, Call: c.ID, Expires: at.Add(LeaseTime), LogLimit: c.LogLimit,
	}
	return l, true, tx.Lease(l, at)
}

// NothingFor says that no attempt waits that the worker could take now.
func NothingFor(tx *store.Tx, w towpath.Worker) (bool, error) {
	lanes, err := tx.Lanes()
	_, found := Next(lanes, w)
	return !found, err
}

// Package queue is leg 3 on the server: attempts of steps that are ready, the workers that fit them, and their leases.
// It keeps no state of its own; every function works in the caller's transaction.
package queue

import (
	"fmt"
	"slices"
	"strings"
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

// looked is how many ready attempts are looked at for one worker. It is far above what waits in practice: those behind
// so many that fit no worker would never be seen.
const looked = 10_000

// Take leases the most urgent attempt that fits the worker, as the answer to that call of it. It answers false where there
// is none.
func Take(tx *store.Tx, w towpath.Worker, call string, at time.Time) (towpath.Lease, bool, error) {
	ready, err := tx.Ready(looked)
	if err != nil {
		return towpath.Lease{}, false, err
	}
	i := slices.IndexFunc(ready, func(q store.QueuedStep) bool { return q.Selector.Admits(w) })
	if i < 0 {
		return towpath.Lease{}, false, nil
	}
	l := towpath.Lease{
		Run: ready[i].Run, Step: ready[i].Step, Attempt: ready[i].Attempt, Worker: w.ID, Call: call, Expires: at.Add(LeaseTime),
	}
	return l, true, tx.Lease(l, at)
}

// Why says for people why an attempt waits: no worker fits it, or all that fit are busy.
func Why(s towpath.Selector, workers []towpath.Worker) string {
	misfits := map[string]int{}
	var fits int
	for _, w := range workers {
		if mismatch := s.Mismatch(w); mismatch != "" {
			misfits[mismatch]++
		} else {
			fits++
		}
	}
	switch {
	case len(workers) == 0:
		return "no worker is connected"
	case fits > 0:
		return fmt.Sprintf("waiting for one of %d %s to be free", fits, plural(fits, "worker", "workers"))
	}
	return fmt.Sprintf("no worker has %s (%s)", firstKey(misfits), platforms(workers))
}

// platforms counts workers by platform: "3 have linux/amd64, 1 has darwin/arm64".
func platforms(workers []towpath.Worker) string {
	count := map[string]int{}
	for _, w := range workers {
		count[w.Platform()]++
	}
	var parts []string
	for platform, n := range count {
		parts = append(parts, fmt.Sprintf("%d %s %s", n, plural(n, "has", "have"), platform))
	}
	slices.Sort(parts)
	return strings.Join(parts, ", ")
}

func firstKey(m map[string]int) string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys[0]
}

func plural(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}

// NothingFor says that no attempt waits that fits the worker.
func NothingFor(tx *store.Tx, w towpath.Worker) (bool, error) {
	ready, err := tx.Ready(looked)
	return !slices.ContainsFunc(ready, func(q store.QueuedStep) bool { return q.Selector.Admits(w) }), err
}

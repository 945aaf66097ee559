package flow

import (
	"slices"
	"sync"
	"time"

	"github.com/towpath-cd/towpath"
)

// waiters are the workers whose calls wait for a step, in the order in which they came. Whoever makes a step ready leases
// it to one of them in the same commit, so that between two steps of a run nobody has to ask.
type waiters struct {
	mu     sync.Mutex
	parked []*waiter
	kept   []*Work // leased to workers whose calls had ended by then
}

// waiter is one call that waits. Once it is chosen it gets exactly one answer, soon.
type waiter struct {
	worker towpath.Worker
	work   *Work      // for who chose it, until the commit
	answer chan *Work // holds one; nil is a wish to look again
}

func (w *waiters) park(worker towpath.Worker) *waiter {
	w.mu.Lock()
	defer w.mu.Unlock()
	one := &waiter{worker: worker, answer: make(chan *Work, 1)}
	w.parked = append(w.parked, one)
	return one
}

// leave takes a waiter away, and says whether it was still there. If it was not, its answer is there or on its way.
func (w *waiters) leave(one *waiter) bool { return w.choose(one) }

// choose takes a waiter away to be answered, and says whether it was still there.
func (w *waiters) choose(one *waiter) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	i := slices.Index(w.parked, one)
	if i < 0 {
		return false
	}
	w.parked = slices.Delete(w.parked, i, i+1)
	return true
}

// all answers who waits.
func (w *waiters) all() []*waiter {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.parked)
}

// answerAll gives those that were chosen what they were chosen for, or has them look again where the commit failed.
func answerAll(chosen []*waiter, failed error) {
	for _, w := range chosen {
		if failed != nil {
			w.work = nil
		}
		w.answer <- w.work
	}
}

// keep keeps work for its worker's next call. Work whose lease has run out is forgotten.
func (w *waiters) keep(work *Work, now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.kept = slices.DeleteFunc(w.kept, func(k *Work) bool { return k.Lease.Expires.Before(now) })
	w.kept = append(w.kept, work)
}

// left answers what was kept for a worker, once; nil where there is nothing.
func (w *waiters) left(worker string) *Work {
	w.mu.Lock()
	defer w.mu.Unlock()
	i := slices.IndexFunc(w.kept, func(k *Work) bool { return k.Lease.Worker == worker })
	if i < 0 {
		return nil
	}
	work := w.kept[i]
	w.kept = slices.Delete(w.kept, i, i+1)
	return work
}

package flow

import (
	"slices"
	"sync"
)

// waiters are the workers whose calls wait for a step, in the order in which they came. Whoever makes a step ready leases
// it to one of them in the same commit, so that between two steps of a run nobody has to ask.
type waiters struct {
	mu     sync.Mutex
	parked []*waiter
}

// waiter is one call that waits. Once it is chosen it gets exactly one answer, soon; one that its worker has given up gets
// none, and its channel is closed.
type waiter struct {
	call   StepCall
	work   *Work      // for who chose it, until the commit
	answer chan *Work // holds one; nil is a wish to look again
}

// park has a call wait. Where the same call waits already, its worker has given that one up.
func (w *waiters) park(call StepCall) *waiter {
	w.mu.Lock()
	defer w.mu.Unlock()
	one := &waiter{call: call, answer: make(chan *Work, 1)}
	w.parked = append(slices.DeleteFunc(w.parked, func(before *waiter) bool {
		again := call.ID != "" && before.call.ID == call.ID && before.call.Worker.ID == call.Worker.ID
		if again {
			close(before.answer)
		}
		return again
	}), one)
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

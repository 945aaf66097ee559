package flow

import (
	"slices"
	"sync"

	"github.com/towpath-cd/towpath"
)

// waiters are the workers whose calls wait for a step, in the order in which they came. Whoever makes a step ready leases
// it to one of them in the same commit, so that between two steps of a run nobody has to ask.
type waiters struct {
	mu      sync.Mutex
	parked  []*waiter
	looking map[*look]struct{}
}

// look is a call that looks for a step before it waits. What becomes ready meanwhile it may not have seen.
type look struct {
	call   StepCall
	missed bool
}

// waiter is one call that waits. Once it is chosen it gets exactly one answer, soon; one that its worker has given up gets
// none, and its channel is closed.
type waiter struct {
	call   StepCall
	work   *Work      // for who chose it, until the commit
	answer chan *Work // holds one; nil is a wish to look again
}

// look notes that a call looks for a step.
func (w *waiters) look(call StepCall) *look {
	w.mu.Lock()
	defer w.mu.Unlock()
	one := &look{call: call}
	if w.looking == nil {
		w.looking = map[*look]struct{}{}
	}
	w.looking[one] = struct{}{}
	return one
}

// found ends a look that found something, or failed.
func (w *waiters) found(one *look) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.looking, one)
}

// settle has a call wait that has found nothing. It answers nil where it has missed something and should look again.
func (w *waiters) settle(one *look) *waiter {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.looking, one)
	if one.missed {
		return nil
	}
	return w.parkLocked(one.call)
}

// tell has those look again whom it concerns that something was left in the queue. It is told after the commit: whoever
// looked before that has not seen it.
func (w *waiters) tell(concerns func(towpath.Worker) bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for one := range w.looking {
		one.missed = one.missed || concerns(one.call.Worker)
	}
	w.parked = slices.DeleteFunc(w.parked, func(one *waiter) bool {
		concerned := concerns(one.call.Worker)
		if concerned {
			one.answer <- nil
		}
		return concerned
	})
}

// park has a call wait. Where the same call waits already, its worker has given that one up.
func (w *waiters) park(call StepCall) *waiter {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.parkLocked(call)
}

func (w *waiters) parkLocked(call StepCall) *waiter {
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

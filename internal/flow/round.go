package flow

import (
	"context"

	"github.com/towpath-cd/towpath"
)

// Rounds are the rounds of a conductor one by one, for whoever holds its clock and says when each happens (package
// simulate). They take the place of Start; only one goroutine may use them.
type Rounds struct{ conductor *Conductor }

// Rounds answers the rounds of a conductor that was not started.
func (c *Conductor) Rounds() Rounds { return Rounds{c} }

// Resume is what Start does before it begins to work.
func (r Rounds) Resume(ctx context.Context) error { return r.conductor.resume(ctx) }

// TakeChanges makes runs of changes, and says whether there are more.
func (r Rounds) TakeChanges(ctx context.Context) (more bool, err error) {
	return r.conductor.takeChanges(ctx)
}

// FireSchedules records changes for the schedules whose time has come, and says whether there are more.
func (r Rounds) FireSchedules(ctx context.Context) (more bool, err error) {
	return r.conductor.fireSchedules(ctx)
}

// CarryOutDue carries out effects inside the database, and says whether there are more.
func (r Rounds) CarryOutDue(ctx context.Context) (more bool, err error) {
	return r.conductor.carryOutDue(ctx)
}

// AnnounceDue tells people what is due, and says whether there is more.
func (r Rounds) AnnounceDue(ctx context.Context) (more bool, err error) {
	return r.conductor.announceDue(ctx)
}

// CompleteChronicles looks up what deployments changed, and says whether there are more.
func (r Rounds) CompleteChronicles(ctx context.Context) (more bool, err error) {
	return r.conductor.completeChronicles(ctx)
}

// Sweep ends what ran out of time.
func (r Rounds) Sweep(ctx context.Context) error {
	_, err := r.conductor.sweep(ctx)
	return err
}

// LeaseNow is LeaseStep without its waiting: nil where nothing fits the worker now.
func (r Rounds) LeaseNow(ctx context.Context, call StepCall) (*Work, error) {
	return r.conductor.leaseNow(ctx, &call)
}

// Park has a worker wait for a step that becomes ready, as LeaseStep does after it has looked.
func (r Rounds) Park(call StepCall) Parked {
	return Parked{waiters: &r.conductor.waiters, waiter: r.conductor.waiters.park(call)}
}

// Parked is a worker that waits.
type Parked struct {
	waiters *waiters
	waiter  *waiter
}

// Answer answers what the worker was given, where it was given anything yet; nil is a wish to look again. over says that
// the same call waits once more, and that this one is answered with nothing.
func (p Parked) Answer() (work *Work, given, over bool) {
	select {
	case work, open := <-p.waiter.answer:
		return work, true, !open
	default:
		return nil, false, false
	}
}

// Leave ends the wait, and says whether it was still going on: if it was not, the answer is there.
func (p Parked) Leave() bool { return p.waiters.leave(p.waiter) }

// KeepNow is Keep without its waiting.
func (r Rounds) KeepNow(ctx context.Context, w towpath.Worker, holder string, kept []Kept) (Keeping, error) {
	return r.conductor.keepNow(ctx, w, holder, kept)
}

// Woken says which rounds have been asked for since it was asked last.
func (r Rounds) Woken() (changes, outbox, people bool) {
	return r.conductor.changes.isWoken(), r.conductor.outbox.isWoken(), r.conductor.people.isWoken()
}

// isWoken takes a wake-up, where there is one.
func (l *loop) isWoken() bool {
	select {
	case <-l.bell:
		return true
	default:
		return false
	}
}

package flow

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/queue"
	"github.com/towpath-cd/towpath/internal/store"
)

// StepCall is a worker's wish for a step. A call that was not answered, because its connection broke or the server was
// killed, is made again under the same ID: what was leased for it then is what it is answered with, so that no attempt is
// lost of which its worker never heard. Another process of the same worker makes calls with other IDs.
type StepCall struct {
	Worker towpath.Worker
	ID     string // unique for ever; empty: what it was leased is lost where it does not hear of it
}

// LeaseStep gives the worker the next attempt that fits it. It waits for one up to the given time, and then answers nil.
// Where ctx ends at the moment at which the worker is given one, it is answered all the same: if it cannot be handed
// over, NotGiven is to be told.
func (c *Conductor) LeaseStep(ctx context.Context, call StepCall, wait time.Duration) (*Work, error) {
	timeout := time.NewTimer(wait)
	defer timeout.Stop()
	for {
		work, again, err := c.leaseOnce(ctx, &call, timeout.C)
		if work != nil {
			again = true // where it cannot be begun after all
			work, err = c.complete(ctx, work)
		}
		if work != nil || err != nil || !again {
			return work, err
		}
	}
}

// leaseOnce looks for an attempt, and waits for one; it says whether it is worth looking again.
func (c *Conductor) leaseOnce(ctx context.Context, call *StepCall, timeout <-chan time.Time) (work *Work, again bool, err error) {
	rung, look := c.hub.Wait(TopicQueue), c.waiters.look(*call)
	if work, err = c.leaseNow(ctx, call); err != nil || work != nil {
		c.waiters.found(look)
		return work, false, err
	}
	if work, again = c.waitForWork(ctx, look, rung, timeout); work != nil || again {
		return work, again, nil
	}
	return nil, false, ctx.Err()
}

// waitForWork parks the worker until it is given an attempt, or should look again, or has waited long enough.
func (c *Conductor) waitForWork(
	ctx context.Context, look *look, rung <-chan struct{}, timeout <-chan time.Time,
) (work *Work, again bool) {
	w := c.waiters.settle(look)
	if w == nil {
		return nil, true
	}
	select {
	case work, again = <-w.answer:
		return work, again
	case <-rung:
		again = true
	case <-ctx.Done():
	case <-timeout:
	}
	if c.waiters.leave(w) {
		return nil, again
	}
	work, open := <-w.answer // it was chosen at the same moment
	return work, again && open
}

// NotGiven says that work was leased for a call that had ended by then. The same call may wait again already.
func (c *Conductor) NotGiven() { c.hub.Ring(TopicQueue) }

// LookAgain has every call that waits look again: who may take which step has changed.
func (c *Conductor) LookAgain() { c.hub.Ring(TopicQueue) }

// leaseNow looks without a lock first: most of the time there is nothing, and a view costs no commit. An attempt that
// cannot be started has ended by that, and the next one is looked at. While the disk is full nothing new is started. The
// call's worker is brought up to date: its labels may have been changed since.
func (c *Conductor) leaseNow(ctx context.Context, call *StepCall) (*Work, error) {
	for {
		held, empty, err := c.lookFor(ctx, call)
		if err != nil || c.store.Unwritable() != nil {
			return nil, err
		}
		if !held && empty {
			return nil, nil
		}
		var work *Work
		tried := false
		err = c.update(ctx, func(a *act) error {
			if work, tried, err = a.leasedBefore(*call); err != nil || tried {
				return err
			}
			work, tried, err = a.leaseTo(*call)
			return err
		})
		if err != nil || work != nil || !tried {
			return work, err
		}
	}
}

// lookFor says whether the call was leased an attempt before, and whether nothing waits that fits its worker.
func (c *Conductor) lookFor(ctx context.Context, call *StepCall) (held, empty bool, err error) {
	err = c.store.View(ctx, func(tx *store.Tx) error {
		if call.ID != "" {
			if _, held, err = tx.LeaseOfCall(call.Worker.ID, call.ID); err != nil {
				return err
			}
		}
		known, err := tx.Worker(call.Worker.ID)
		if errors.Is(err, store.ErrNotFound) || err == nil && known.Draining {
			empty = true
			return nil
		}
		if err != nil {
			return err
		}
		call.Worker = known.Worker
		empty, err = queue.NothingFor(tx, call.Worker)
		return err
	})
	return held, empty, err
}

// leasedBefore answers what the call was leased and did not hear of. Its time begins anew.
func (a *act) leasedBefore(call StepCall) (work *Work, found bool, err error) {
	if call.ID == "" {
		return nil, false, nil
	}
	lease, found, err := a.tx.LeaseOfCall(call.Worker.ID, call.ID)
	if err != nil || !found {
		return nil, false, err
	}
	lease.Expires = a.at.Add(queue.LeaseTime)
	if _, err := a.tx.Renew(lease); err != nil {
		return nil, true, err
	}
	run, _, err := a.tx.Run(lease.Run)
	if err != nil {
		return nil, true, err
	}
	work, err = a.work(lease, run)
	return work, true, err
}

// leaseTo leases the most urgent attempt that fits the worker, and tells whether there was one; where it could not be
// started there is no work. A worker that was removed or drains since it called gets none.
func (a *act) leaseTo(call StepCall) (work *Work, tried bool, err error) {
	known, err := a.tx.Worker(call.Worker.ID)
	if errors.Is(err, store.ErrNotFound) || err == nil && known.Draining {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	lease, found, err := queue.Take(a.tx, queue.Call{Worker: known.Worker, ID: call.ID, LogLimit: a.logLimit}, a.at)
	if err != nil || !found {
		return nil, false, err
	}
	work, err = a.begin(lease)
	return work, true, err
}

// begin tells the run that an attempt is leased. One that the run does not know any more goes out of the queue.
func (a *act) begin(lease towpath.Lease) (*Work, error) {
	run, err := a.runHappens(lease.Run, towpath.StepLeased{
		Step: lease.Step, Attempt: lease.Attempt, Worker: lease.Worker, At: a.at,
	})
	if err != nil && refused(err) {
		a.log.Warn("an attempt in the queue does not fit its run", "run", lease.Run, "step", lease.Step, "error", err)
		return nil, a.endLease(lease)
	}
	if err != nil {
		return nil, fmt.Errorf("lease %s of run %s: %w", lease.Step, lease.Run, err)
	}
	return a.work(lease, run)
}

// handOut leases what can be leased since this transaction to workers that wait, to the one first that came first: what
// became ready in it, or what waited for a step of its pipeline to end. What nobody takes is left in the queue. A lease
// that fails is undone and changes nothing else: who asks for it next hears why.
func (a *act) handOut() (err error) {
	if !a.ready && !a.freed {
		return nil
	}
	if a.left, err = a.tx.Lanes(); err != nil {
		return err
	}
	for _, w := range a.waiters.all() {
		if !a.concerns(w.call.Worker) || a.store.Unwritable() != nil || !a.waiters.choose(w) {
			continue
		}
		a.chosen = append(a.chosen, w)
		if err := a.give(w); err != nil {
			return err
		}
		if a.left, err = a.tx.Lanes(); err != nil {
			return err
		}
	}
	return nil
}

// concerns says that something is left for the worker.
func (a *act) concerns(w towpath.Worker) bool {
	_, found := queue.Next(a.left, w)
	return found
}

// give finds work for a worker that was chosen. It has to look again itself where there is none.
func (a *act) give(w *waiter) error {
	undone, err := a.tx.Try(func() (err error) {
		w.work, _, err = a.leaseTo(w.call)
		return err
	})
	if undone != nil {
		a.log.Error("a step could not be leased", "worker", w.call.Worker.Name, "error", undone)
		w.work, a.last = nil, savedRun{}
	}
	return err
}

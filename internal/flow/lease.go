package flow

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/queue"
	"github.com/towpath-cd/towpath/internal/store"
)

// LeaseStep gives the worker the next attempt that fits it. It waits for one up to the given time, and then answers nil.
// Where ctx ends at the moment at which the worker is given one, it is answered all the same: if it cannot be handed
// over, it belongs to GiveBack.
func (c *Conductor) LeaseStep(ctx context.Context, worker towpath.Worker, wait time.Duration) (*Work, error) {
	if work, err := c.leftFor(ctx, worker.ID); err != nil || work != nil {
		return work, err
	}
	timeout := time.NewTimer(wait)
	defer timeout.Stop()
	for {
		rung := c.hub.Wait(TopicQueue)
		work, err := c.leaseNow(ctx, worker)
		if err != nil || work != nil {
			return work, err
		}
		work, again := c.waitForWork(ctx, worker, rung, timeout.C)
		if work != nil || !again {
			return work, unlessLeased(work, ctx.Err())
		}
	}
}

func unlessLeased(work *Work, err error) error {
	if work != nil {
		return nil
	}
	return err
}

// waitForWork parks the worker until it is given an attempt, or should look again, or has waited long enough.
func (c *Conductor) waitForWork(
	ctx context.Context, worker towpath.Worker, rung <-chan struct{}, timeout <-chan time.Time,
) (work *Work, again bool) {
	w := c.waiters.park(worker)
	select {
	case work = <-w.answer:
		return work, true
	case <-rung:
		again = true
	case <-ctx.Done():
	case <-timeout:
	}
	if c.waiters.leave(w) {
		return nil, again
	}
	return <-w.answer, again // it was chosen at the same moment
}

// GiveBack takes work that its worker could not be given, because its call had ended. It is what the worker's next call
// is answered with; where none comes in the lease's time, the attempt is lost like any other.
func (c *Conductor) GiveBack(work *Work) { c.waiters.keep(work, c.clock()) }

// leftFor answers what was given back for the worker, if it is still the worker's.
func (c *Conductor) leftFor(ctx context.Context, worker string) (*Work, error) {
	for work := c.waiters.left(worker); work != nil; work = c.waiters.left(worker) {
		expires, _, err := c.RenewStep(ctx, work.Lease)
		if err == nil {
			work.Lease.Expires = expires
			return work, nil
		}
		if towpath.CodeOf(err) != towpath.CodeStale {
			c.GiveBack(work)
			return nil, err
		}
	}
	return nil, nil
}

// leaseNow looks without a lock first: most of the time there is nothing, and a view costs no commit. An attempt that
// cannot be started has ended by that, and the next one is looked at. While the disk is full nothing new is started.
func (c *Conductor) leaseNow(ctx context.Context, worker towpath.Worker) (*Work, error) {
	for {
		empty, err := c.nothingFor(ctx, worker)
		if err != nil || empty || c.store.Unwritable() != nil {
			return nil, err
		}
		var work *Work
		tried := false
		err = c.update(ctx, func(a *act) error {
			work, tried, err = a.leaseTo(worker)
			return err
		})
		if err != nil || work != nil || !tried {
			return work, err
		}
	}
}

func (c *Conductor) nothingFor(ctx context.Context, worker towpath.Worker) (empty bool, err error) {
	err = c.store.View(ctx, func(tx *store.Tx) error {
		empty, err = queue.NothingFor(tx, worker)
		return err
	})
	return empty, err
}

// leaseTo leases the most urgent attempt that fits the worker, and tells whether there was one; where it could not be
// started there is no work. A worker that was removed or drains since it called gets none.
func (a *act) leaseTo(worker towpath.Worker) (work *Work, tried bool, err error) {
	known, err := a.tx.Worker(worker.ID)
	if errors.Is(err, store.ErrNotFound) || err == nil && known.Draining {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	lease, found, err := queue.Take(a.tx, worker, a.at)
	if err != nil || !found {
		return nil, false, err
	}
	a.ready = slices.DeleteFunc(a.ready, func(q store.QueuedStep) bool {
		return q.Run == lease.Run && q.Step == lease.Step && q.Attempt == lease.Attempt
	})
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
		return nil, a.tx.Finish(lease)
	}
	if err != nil {
		return nil, fmt.Errorf("lease %s of run %s: %w", lease.Step, lease.Run, err)
	}
	return a.work(lease, run)
}

// handOut leases what became ready in this transaction to workers that wait, the one first that came first. What nobody
// takes is left in the queue, and everybody is told. A lease that fails is undone and changes nothing else: who asks for
// it next hears why.
func (a *act) handOut() error {
	if len(a.ready) == 0 {
		return nil
	}
	for _, w := range a.waiters.all() {
		if a.store.Unwritable() != nil || !slices.ContainsFunc(a.ready, func(q store.QueuedStep) bool { return q.Selector.Admits(w.worker) }) {
			continue
		}
		if !a.waiters.choose(w) {
			continue
		}
		a.chosen = append(a.chosen, w)
		if err := a.give(w); err != nil {
			return err
		}
	}
	if len(a.ready) > 0 {
		a.ring(TopicQueue)
	}
	return nil
}

// give finds work for a worker that was chosen. It has to look again itself where there is none.
func (a *act) give(w *waiter) error {
	ready := slices.Clone(a.ready)
	undone, err := a.tx.Try(func() (err error) {
		w.work, _, err = a.leaseTo(w.worker)
		return err
	})
	if undone != nil {
		a.log.Error("a step could not be leased", "worker", w.worker.Name, "error", undone)
		w.work, a.ready, a.last = nil, ready, savedRun{}
	}
	return err
}

package flow

import (
	"context"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/queue"
	"github.com/towpath-cd/towpath/internal/store"
)

// beatEvery is how often it is noted that the server is alive, while nothing else happens: each note is a commit. By so
// much the time without a server may be taken for longer than it was.
const beatEvery = 3 * time.Second

// breakTime is the time between two beats from which on it counts as a break, in which leases could not be renewed: the
// disk was full, or the machine slept.
const breakTime = 2 * beatEvery

// resume gives back to leases the time since the last beat, of this process or of one before it. Where the clock was set
// back it takes from them what they would last too long.
func (c *Conductor) resume(ctx context.Context) error {
	now := c.clock()
	err := c.store.Update(ctx, func(tx *store.Tx) error {
		last, err := tx.LastBeat()
		if err == nil && !last.IsZero() {
			err = tx.ExtendLeases(now.Sub(last), now.Add(queue.LeaseTime))
		}
		if err != nil {
			return err
		}
		return tx.Beat(now)
	})
	if err == nil {
		c.beat = now
		c.renewable.set(now)
	}
	return err
}

// sweep ends what ran out of time: leases, keepers, approvals, freezes, steps that nobody can run, commands of which nobody tells, and
// lets begin what waited for its time. It also notes that the server is alive, so that a time
// without one does not count.
func (c *Conductor) sweep(ctx context.Context) (more bool, err error) {
	silent := c.clock().Sub(c.beat)
	if silent >= breakTime || silent <= -breakTime { // a break, or a clock that was set back
		return false, c.resume(ctx)
	}
	idle, err := c.nothingToSweep(ctx)
	if err != nil || idle && silent < beatEvery {
		return false, err
	}
	seen := c.seen.all()
	err = c.update(ctx, func(a *act) error {
		if err := a.tx.Beat(a.at); err != nil {
			return err
		}
		if err := a.storeSeen(seen); err != nil || idle {
			return err
		}
		if err := a.loseSteps(); err != nil {
			return err
		}
		if err := a.loseKeepers(); err != nil {
			return err
		}
		if err := a.expireUnclaimed(); err != nil {
			return err
		}
		if err := a.loseErrands(); err != nil {
			return err
		}
		if err := a.timesCome(); err != nil {
			return err
		}
		return a.expireApprovals()
	})
	if err == nil {
		c.beat = c.clock()
		c.seen.stored(seen)
	}
	return false, err
}

// loseSteps ends the leases that ran out, and tells their runs.
func (a *act) loseSteps() error {
	expired, err := a.tx.Expired(a.at, changesBatch)
	if err != nil {
		return err
	}
	a.freed = a.freed || len(expired) > 0
	for _, lease := range expired {
		if err := a.tx.Expire(lease, a.at); err != nil {
			return err
		}
		_, err := a.runHappens(lease.Run, towpath.StepLost{
			Step: lease.Step, Attempt: lease.Attempt, Reason: "its worker was not heard of for " + queue.LeaseTime.String(), At: a.at,
		})
		if unlessRefused(err) != nil {
			return err
		}
	}
	return nil
}

// loseKeepers ends the leases of keepers that ran out.
func (a *act) loseKeepers() error {
	environments, err := a.tx.Environments(store.EnvironmentFilter{})
	if err != nil {
		return err
	}
	for _, e := range environments {
		if !a.hasLostKeeper(e, a.at) {
			continue
		}
		if _, err := a.environmentHappens(e.Key, towpath.KeeperLeft{Worker: e.Keeper.Worker, At: a.at}); err != nil {
			return err
		}
		a.ring(TopicKeepers)
	}
	return nil
}

// hasLostKeeper says that the keeper's lease ran out. For a while after a break none does: it could not be renewed.
func (c *Conductor) hasLostKeeper(e towpath.Environment, now time.Time) bool {
	return e.Keeper.Worker != "" && !now.Before(e.Keeper.Expires) && now.Sub(c.renewable.get()) >= queue.LeaseTime
}

// nothingToSweep looks without a lock first.
func (c *Conductor) nothingToSweep(ctx context.Context) (nothing bool, err error) {
	err = c.store.View(ctx, func(tx *store.Tx) error {
		now := c.clock()
		leases, err := tx.Expired(now, 1)
		if err != nil {
			return err
		}
		approvals, err := tx.ExpiredApprovals(now, 1)
		if err != nil {
			return err
		}
		inVain, err := c.someInVain(tx, now)
		if err != nil {
			return err
		}
		errands, err := lostErrands(tx, now)
		if err != nil {
			return err
		}
		environments, err := tx.Environments(store.EnvironmentFilter{})
		nothing = len(leases)+len(approvals)+len(errands) == 0 && !inVain
		for _, e := range environments {
			nothing = nothing && !c.hasLostKeeper(e, now) && !e.IsDue(now)
		}
		return err
	})
	return nothing, err
}

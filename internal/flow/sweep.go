package flow

import (
	"context"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/queue"
	"github.com/towpath-cd/towpath/internal/store"
)

// sweep ends what ran out of time: leases, keepers, approvals. It also notes that the server is alive, so that a time
// without one does not count.
func (c *Conductor) sweep(ctx context.Context) (more bool, err error) {
	idle, err := c.nothingToSweep(ctx)
	if err != nil {
		return false, err
	}
	return false, c.update(ctx, func(a *act) error {
		if err := a.tx.Beat(a.at); err != nil || idle {
			return err
		}
		if err := a.loseSteps(); err != nil {
			return err
		}
		if err := a.loseKeepers(); err != nil {
			return err
		}
		return a.expireApprovals()
	})
}

// loseSteps ends the leases that ran out, and tells their runs.
func (a *act) loseSteps() error {
	expired, err := a.tx.Expired(a.at, changesBatch)
	if err != nil {
		return err
	}
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

// loseKeepers ends the leases of keepers that ran out. For a while after the server's start none does: they could not
// be renewed before.
func (a *act) loseKeepers() error {
	if a.at.Sub(a.started) < queue.LeaseTime {
		return nil
	}
	environments, err := a.tx.Environments(store.EnvironmentFilter{})
	if err != nil {
		return err
	}
	for _, e := range environments {
		if !hasLostKeeper(e, a.at) {
			continue
		}
		if _, err := a.environmentHappens(e.Key, towpath.KeeperLeft{Worker: e.Keeper.Worker, At: a.at}); err != nil {
			return err
		}
		a.ring(TopicKeepers)
	}
	return nil
}

func hasLostKeeper(e towpath.Environment, now time.Time) bool {
	return e.Keeper.Worker != "" && !now.Before(e.Keeper.Expires)
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
		environments, err := tx.Environments(store.EnvironmentFilter{})
		nothing = len(leases)+len(approvals) == 0
		for _, e := range environments {
			nothing = nothing && !hasLostKeeper(e, now)
		}
		return err
	})
	return nothing, err
}

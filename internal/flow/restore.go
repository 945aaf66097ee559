package flow

import (
	"context"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/store"
)

// Restored is what was stopped in a state that comes from a backup.
type Restored struct {
	Environments []string // keys of those that are halted
	Runs         int      // that were going on
}

// Restore makes a state that comes from a backup safe to go on from, before any loop runs on it: what runs in the world
// may be newer than what is recorded. Nothing is deployed by itself, runs that were going on are canceled, people sign in
// again, and no number is given a second time.
func (c *Conductor) Restore(ctx context.Context, backup time.Time, record func(*store.Tx) error) (Restored, error) {
	var done Restored
	err := c.update(ctx, func(a *act) error {
		done = Restored{}
		if err := a.haltAll(backup, &done); err != nil {
			return err
		}
		if err := a.cancelAll(&done); err != nil {
			return err
		}
		if err := a.tx.SkipNumbers(); err != nil {
			return err
		}
		if err := a.tx.DeleteSessions(); err != nil {
			return err
		}
		return record(a.tx)
	})
	return done, err
}

func (a *act) haltAll(backup time.Time, done *Restored) error {
	environments, err := a.tx.Environments(store.EnvironmentFilter{})
	if err != nil {
		return err
	}
	for _, e := range environments {
		if _, err := a.environmentHappens(e.Key, towpath.ServerRestored{Backup: backup, At: a.at}); err != nil {
			return err
		}
		done.Environments = append(done.Environments, e.Key)
	}
	return nil
}

func (a *act) cancelAll(done *Restored) error {
	filter := store.RunFilter{States: towpath.UnfinishedRuns}
	for {
		runs, err := a.tx.Runs(filter)
		if err != nil || len(runs) == 0 {
			return err
		}
		for _, run := range runs {
			filter.Before = run.ID
			_, err := a.runHappens(run.ID, towpath.CancelRequested{By: "the restore", At: a.at})
			if unlessRefused(err) != nil {
				return err
			}
			done.Runs++
		}
	}
}

package flow

import (
	"context"
	"fmt"
	"time"

	"github.com/towpath-cd/towpath/internal/artifact"
	"github.com/towpath-cd/towpath/internal/steplog"
	"github.com/towpath-cd/towpath/internal/store"
)

// Keep says how long after its end something of a run stays. 0 is for ever. What is live, on standby, pinned or in the
// history of an environment stays in any case.
type Keep struct{ Runs, Logs, Artifacts, Deliveries time.Duration }

// retentionEvery is how often is looked for what may go.
const retentionEvery = 10 * time.Minute

// retentionBatch is how many runs one round looks at.
const retentionBatch = 50

// doneKept is how long effects that were carried out are remembered: as long as anything could ask for them again.
const doneKept = 30 * 24 * time.Hour

// retain removes what nobody needs any more: logs, artifacts, then whole runs.
func (c *Conductor) retain(ctx context.Context) (more bool, err error) {
	for _, part := range []struct {
		keep   time.Duration
		find   func(*store.Tx, store.Policy, int) ([]store.Removable, error)
		forget func(*store.Tx, string) error
	}{
		{c.keep.Artifacts, (*store.Tx).RemovableArtifacts, (*store.Tx).ForgetArtifacts},
		{c.keep.Logs, (*store.Tx).RemovableLogs, c.forgetLogs},
		{c.keep.Runs, (*store.Tx).RemovableRuns, c.forgetRun},
	} {
		if part.keep == 0 {
			continue
		}
		n, err := c.removeOld(ctx, part.keep, part.find, part.forget)
		if err != nil {
			return false, err
		}
		more = more || n == retentionBatch
	}
	forgotten, err := c.forgetDeliveries(ctx)
	if more = more || forgotten == deliveriesForgotten; err != nil || more {
		return more, err
	}
	err = c.store.Update(ctx, func(tx *store.Tx) error {
		_, err := tx.ForgetEffects(c.clock().Add(-doneKept))
		return err
	})
	if err != nil {
		return false, err
	}
	return false, c.sweepArtifacts(ctx)
}

// deliveriesForgotten is how many deliveries one round forgets.
const deliveriesForgotten = 1000

// forgetDeliveries forgets what webhooks brought long ago.
func (c *Conductor) forgetDeliveries(ctx context.Context) (forgotten int, err error) {
	if c.keep.Deliveries == 0 {
		return 0, nil
	}
	err = c.store.Update(ctx, func(tx *store.Tx) error {
		forgotten, err = tx.ForgetDeliveries(c.clock().Add(-c.keep.Deliveries), deliveriesForgotten)
		return err
	})
	return forgotten, err
}

func (c *Conductor) removeOld(
	ctx context.Context, keep time.Duration,
	find func(*store.Tx, store.Policy, int) ([]store.Removable, error), forget func(*store.Tx, string) error,
) (removed int, err error) {
	err = c.store.Update(ctx, func(tx *store.Tx) error {
		found, err := find(tx, store.Policy{Before: c.clock().Add(-keep)}, retentionBatch)
		if err != nil {
			return err
		}
		for _, r := range found {
			if err := forget(tx, r.Run); err != nil {
				return fmt.Errorf("forget something of run %d of %s: %w", r.Number, r.Pipeline, err)
			}
		}
		removed = len(found)
		return nil
	})
	return removed, err
}

// forgetLogs removes the texts first: a crash in between leaves a row that is found again, not a file that nobody knows.
// An attempt whose worker was lost may have a text and no row.
func (c *Conductor) forgetLogs(tx *store.Tx, id string) error {
	run, _, err := tx.Run(id)
	if err != nil {
		return err
	}
	for _, s := range run.Steps {
		for _, attempt := range s.Attempts {
			if err := c.logs.Remove(steplog.Name{Run: id, Step: s.Name, Attempt: attempt.Number}); err != nil {
				return err
			}
		}
	}
	return tx.ForgetLogs(id)
}

func (c *Conductor) forgetRun(tx *store.Tx, run string) error {
	if err := c.forgetLogs(tx, run); err != nil {
		return err
	}
	return tx.ForgetRun(run)
}

// sweepArtifacts removes the bytes that no run keeps any more.
func (c *Conductor) sweepArtifacts(ctx context.Context) error {
	kept := map[string]bool{}
	err := c.store.View(ctx, func(tx *store.Tx) error {
		digests, err := tx.KeptDigests()
		if err != nil {
			return err
		}
		cached, err := tx.CachedDigests()
		for _, d := range append(digests, cached...) {
			kept[d] = true
		}
		return err
	})
	if err != nil {
		return err
	}
	swept, err := c.artifacts.Sweep(ctx, func(d artifact.Digest) bool { return kept[d.String()] })
	if swept.Bytes > 0 {
		c.log.Info("artifacts were swept", "manifests", swept.Manifests, "bytes", swept.Bytes)
	}
	return err
}

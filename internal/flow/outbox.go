package flow

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/failpoint"
	"github.com/towpath-cd/towpath/internal/store"
)

// outboxBatch is how many effects one round carries out.
const outboxBatch = 64

// longestWait bounds the pause between two tries of an effect that fails.
const longestWait = 5 * time.Minute

// carryOutDue carries out the effects inside the database whose time has come, in the order in which they arose.
func (c *Conductor) carryOutDue(ctx context.Context) (more bool, err error) {
	return c.carryOutSome(ctx, func(e towpath.Effect) bool { return !tellsPeople(e) && !tellsForges(e) })
}

// announceDue tells people what they are to be told. On a full disk it could not note that it did, and would do so again
// and again: they wait.
func (c *Conductor) announceDue(ctx context.Context) (more bool, err error) {
	if c.store.Unwritable() != nil {
		return false, nil
	}
	return c.carryOutSome(ctx, tellsPeople)
}

func tellsPeople(e towpath.Effect) bool {
	switch e.(type) {
	case towpath.AnnounceApproval, towpath.AnnounceRun, towpath.AnnounceDeployment:
		return true
	}
	return false
}

// showDue shows how commits fare, where their forges are told of it.
func (c *Conductor) showDue(ctx context.Context) (more bool, err error) {
	if c.store.Unwritable() != nil {
		return false, nil
	}
	return c.carryOutSome(ctx, tellsForges)
}

func tellsForges(e towpath.Effect) bool {
	switch e.(type) {
	case towpath.ShowRunStatus, towpath.ShowDeploymentStatus:
		return true
	}
	return false
}

func (c *Conductor) carryOutSome(ctx context.Context, wanted func(towpath.Effect) bool) (more bool, err error) {
	var due []store.DueEffect
	err = c.store.View(ctx, func(tx *store.Tx) error {
		due, err = tx.DueEffects(c.clock(), 0)
		return err
	})
	if err != nil {
		return false, err
	}
	due = slices.DeleteFunc(due, func(d store.DueEffect) bool { return !wanted(d.Effect) })
	for _, d := range due[:min(outboxBatch, len(due))] {
		if err := c.try(ctx, d); err != nil {
			return false, err
		}
	}
	return len(due) > outboxBatch, ctx.Err()
}

// try carries an effect out, or puts it off. It answers an error where not even that was possible.
func (c *Conductor) try(ctx context.Context, d store.DueEffect) error {
	place := failpoint.Of("carry out", d.Effect)
	place.Before()
	if err := c.carryOut(ctx, d.Effect); err != nil {
		return c.postpone(ctx, d, err)
	}
	place.After()
	return nil
}

// postpone puts an effect that failed off, for longer each time. One whose subject is gone is ticked off.
func (c *Conductor) postpone(ctx context.Context, d store.DueEffect, cause error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	gone := errors.Is(cause, store.ErrNotFound)
	c.log.Warn("an effect failed", "effect", d.Effect.Key(), "attempts", d.Attempts+1, "dropped", gone, "error", cause)
	return c.store.Update(ctx, func(tx *store.Tx) error {
		if gone {
			return tx.EffectDone(d.Effect.Key(), c.clock())
		}
		wait := min(longestWait, time.Second<<min(d.Attempts, 10))
		return tx.EffectFailed(d.Effect.Key(), cause, c.clock().Add(wait))
	})
}

// refused says that an aggregate did not take an event because it is past it: for an effect that is carried out a
// second time this is how it learns that the first time was enough.
func refused(err error) bool {
	switch towpath.CodeOf(err) {
	case towpath.CodeConflict, towpath.CodeStale:
		return !errors.Is(err, store.ErrConflict)
	}
	return false
}

// unlessRefused turns a refusal into success.
func unlessRefused(err error) error {
	if err != nil && refused(err) {
		return nil
	}
	return err
}

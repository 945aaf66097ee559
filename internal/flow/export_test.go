package flow

import (
	"context"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/store"
)

// The rounds of the loops, so that a story says when each happens.

// Resume is what Start does before it begins to work.
func (c *Conductor) Resume(ctx context.Context) error { return c.resume(ctx) }

// TakeChanges is a round of the loop that makes runs of changes.
func (c *Conductor) TakeChanges(ctx context.Context) (bool, error) { return c.takeChanges(ctx) }

// CarryOutDue is a round of the outbox.
func (c *Conductor) CarryOutDue(ctx context.Context) (bool, error) { return c.carryOutDue(ctx) }

// AnnounceDue is a round of the loop that tells people.
func (c *Conductor) AnnounceDue(ctx context.Context) (bool, error) { return c.announceDue(ctx) }

// ShowDue is a round of the loop that tells forges.
func (c *Conductor) ShowDue(ctx context.Context) (bool, error) { return c.showDue(ctx) }

// CarryOut carries out one effect.
func (c *Conductor) CarryOut(ctx context.Context, e towpath.Effect) error { return c.carryOut(ctx, e) }

// Try carries out one effect that is due, or puts it off.
func (c *Conductor) Try(ctx context.Context, d store.DueEffect) error { return c.try(ctx, d) }

// Sweep is a round of the sweeper.
func (c *Conductor) Sweep(ctx context.Context) (bool, error) { return c.sweep(ctx) }

// WatchDisk is a round of the loop that watches the disk.
func (c *Conductor) WatchDisk(ctx context.Context) (bool, error) { return c.watchDisk(ctx) }

// Retain is a round of retention.
func (c *Conductor) Retain(ctx context.Context) (bool, error) { return c.retain(ctx) }

// Waiting is how many workers wait for a step.
func (c *Conductor) Waiting() int { return len(c.waiters.all()) }

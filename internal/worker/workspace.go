package worker

import (
	"context"
	"errors"

	"github.com/towpath-cd/towpath/client"
	"github.com/towpath-cd/towpath/internal/git"
)

// workspace is what stands in a slot between two steps: the checkout of the last one, pristine again. Steps of other
// pipelines, and of branches trusted otherwise, never get it.
type workspace struct {
	of       string
	pristine *git.Pristine
}

// ownerOf names the steps that may have each other's workspaces.
func ownerOf(l *client.StepLease) string {
	return nameOf(l.Repository + "\n" + l.Project + "\n" + l.Pipeline + "\n" + branchKind(l.Trusted))
}

// prepare makes the workspace as the script shall find it.
func (a *attempt) prepare(ctx context.Context) error {
	a.room = roomIn(a.dirs.slot(a.slot), a.lease.Pipeline)
	if err := a.checkout(ctx); err != nil {
		return err
	}
	if err := a.room.furnish(); err != nil {
		return err
	}
	return a.place(ctx)
}

// checkout takes the slot's workspace if it is of the same kind, with the files written that differ; else a new one.
func (a *attempt) checkout(ctx context.Context) error {
	mirror, err := a.mirrors.of(a.lease.Repository)
	if err != nil {
		return err
	}
	if err := ensure(ctx, mirror, a.lease.Revision); err != nil {
		return err
	}
	if a.reuse(ctx, mirror) {
		return nil
	}
	a.discard(a.dirs.slot(a.slot))
	c := git.Checkout{Revision: a.lease.Revision, Dir: a.room.workspace}
	if err := mirror.Checkout(ctx, c); err != nil {
		return err
	}
	return a.remember()
}

// reuse says whether the slot's own workspace could be had.
func (a *attempt) reuse(ctx context.Context, mirror *git.Mirror) bool {
	last := a.workspaces[a.slot]
	a.workspaces[a.slot] = workspace{}
	if last.pristine == nil || last.of != ownerOf(a.lease) {
		return false
	}
	if last.pristine.Revision == a.lease.Revision {
		a.pristine = last.pristine
		return true
	}
	if err := mirror.Switch(ctx, last.pristine, a.lease.Revision); err != nil {
		a.log.Debug("a workspace is made anew", "step", a.lease.Step, "reason", err)
		return false
	}
	return a.remember() == nil
}

// remember has the workspace handed on later, where that is possible.
func (a *attempt) remember() error {
	p, err := git.Remember(git.Checkout{Revision: a.lease.Revision, Dir: a.room.workspace})
	if errors.Is(err, git.ErrUnsupported) {
		return nil
	}
	a.pristine = p
	return err
}

// tidy leaves the slot's workspace pristine for the next step, or missing.
func (a *attempt) tidy() {
	b := bag{worker: a.worker}
	defer b.takeAway()
	if a.pristine != nil {
		err := errors.Join(a.pristine.Restore(b.add), b.add(a.room.scratch))
		if err == nil {
			a.workspaces[a.slot] = workspace{of: ownerOf(a.lease), pristine: a.pristine}
			return
		}
		a.log.Debug("a workspace is not handed on", "step", a.lease.Step, "reason", err)
	}
	a.discard(a.dirs.slot(a.slot))
}

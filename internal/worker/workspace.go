package worker

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/towpath-cd/towpath/client"
	"github.com/towpath-cd/towpath/internal/git"
)

// prepare makes the workspace as the script shall find it.
func (a *attempt) prepare(ctx context.Context) error {
	a.room = roomIn(a.dirs.place(a.place), a.lease.Pipeline)
	if err := a.checkout(ctx); err != nil {
		return err
	}
	if err := a.room.open(); err != nil {
		return err
	}
	return a.furnish(ctx)
}

// checkout takes the place's workspace if it is of the same kind, with the files written that differ; else a new one. A
// workspace of more or less than the revision's own files and history is made for one step.
func (a *attempt) checkout(ctx context.Context) error {
	mirror, err := a.mirrors.of(a.lease.Repository)
	if err != nil {
		return advised(err)
	}
	if err := a.guest.borrow(mirror); err != nil {
		return err
	}
	access, isPlain := accessOf(a.lease), a.lease.Checkout == client.Checkout{}
	want := git.Want{Revision: a.lease.Revision, Ref: a.lease.Ref, Access: access}
	if err := tryAgain(ctx, func() error { return mirror.Ensure(ctx, want) }); err != nil {
		return advised(err)
	}
	if isPlain && a.reuse(ctx, mirror) {
		return nil
	}
	c := git.Checkout{
		Revision: a.lease.Revision, Dir: a.room.workspace, Depth: a.lease.Checkout.Depth, LFS: a.lease.Checkout.LFS, Access: access,
	}
	if a.lease.Checkout.Submodules {
		c.Mirrors = a.borrowed
	}
	err = tryAgain(ctx, func() error {
		a.discard(a.dirs.place(a.place)) // with what a git that was killed has left there
		if err := os.Mkdir(a.dirs.place(a.place), 0o700); err != nil {
			return fmt.Errorf("make a workspace: %w", err)
		}
		return mirror.Checkout(ctx, c)
	})
	if err != nil {
		return advised(err)
	}
	if !isPlain {
		return a.guest.own(a.room.workspace)
	}
	return a.remember(ctx, mirror)
}

// borrowed answers the mirror of a submodule, whose history the step's git borrows as well.
func (a *attempt) borrowed(address string) (*git.Mirror, error) {
	mirror, err := a.mirrors.of(address)
	if err != nil {
		return nil, err
	}
	return mirror, a.guest.borrow(mirror)
}

// reuse says whether the workspace that was left could be had.
func (a *attempt) reuse(ctx context.Context, mirror *git.Mirror) bool {
	if a.left.pristine == nil {
		return false
	}
	if a.left.pristine.Revision == a.lease.Revision {
		a.pristine = a.left.pristine
		return a.guest.own(filepath.Join(a.room.workspace, ".git")) == nil // which may have been restored
	}
	if err := mirror.Switch(ctx, a.left.pristine, a.lease.Revision); err != nil {
		a.log.Debug("a workspace is made anew", "step", a.lease.Step, "reason", err)
		return false
	}
	return a.remember(ctx, mirror) == nil
}

// remember has the workspace handed on later, where that is possible. The step's user gets it before: that counts as a
// change of each file.
func (a *attempt) remember(ctx context.Context, mirror *git.Mirror) error {
	if a.guest != nil {
		if err := a.guest.own(a.room.workspace); err != nil {
			return err
		}
		if err := mirror.Refresh(ctx, a.room.workspace); err != nil {
			return err
		}
		if err := a.guest.own(filepath.Join(a.room.workspace, ".git")); err != nil { // the index is a new file
			return err
		}
	}
	p, err := git.Remember(git.Checkout{Revision: a.lease.Revision, Dir: a.room.workspace})
	if errors.Is(err, git.ErrUnsupported) {
		return nil
	}
	a.pristine = p
	return err
}

// tidy leaves the place's workspace pristine for the next step, or missing, and gives the place back.
func (a *attempt) tidy() {
	b := bag{worker: a.worker}
	defer b.takeAway()
	defer a.guest.leave()
	if a.pristine != nil {
		err := errors.Join(a.pristine.Restore(b.add), a.clearScratch(b.add))
		if err == nil {
			a.places.give(a.place, workspace{of: ownerOf(a.lease), pristine: a.pristine})
			return
		}
		a.log.Debug("a workspace is not handed on", "step", a.lease.Step, "reason", err)
	}
	a.discard(a.dirs.place(a.place))
	a.places.give(a.place, workspace{})
}

// clearScratch also takes away what the worker would only overwrite, where somebody else could have made a link of it.
func (a *attempt) clearScratch(remove func(path string) error) error {
	if a.guest != nil {
		return remove(a.room.scratch)
	}
	return a.room.reset(remove)
}

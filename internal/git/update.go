package git

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/towpath-cd/towpath/internal/failpoint"
)

// update is one time that a mirror is brought up to date: under its lock, with what the remote is shown.
type update struct {
	*Mirror
	lock *lock
	as   *session
}

func (m *Mirror) begin(lock *lock, a Access) (*update, error) {
	as, err := m.git.show(m.remote, a)
	if err != nil {
		return nil, err
	}
	return &update{Mirror: m, lock: lock, as: as}, nil
}

func (u *update) end() { u.as.end() }

// bring fetches branches and tags, with the reference that is named where it is none of them. One that is gone meanwhile
// takes nothing else with it.
func (u *update) bring(ctx context.Context, ref string) error {
	if ref == "" || strings.HasPrefix(ref, "refs/heads/") || strings.HasPrefix(ref, "refs/tags/") {
		return u.fetchOrRemake(ctx, nil)
	}
	if !u.isMarked(completeMark) {
		if err := u.fetchOrRemake(ctx, nil); err != nil {
			return err
		}
	}
	err := u.fetchOrRemake(ctx, append([]string{"+" + ref + ":" + ownRefs + nameOf(ref)}, branchesAndTags...))
	if errors.Is(err, ErrNotFound) {
		return u.fetchOrRemake(ctx, nil)
	}
	return err
}

// nameOf is one part of a reference's name for another reference: so none is ever a folder of another.
func nameOf(ref string) string {
	sum := sha256.Sum256([]byte(ref))
	return "at-" + hex.EncodeToString(sum[:12])
}

func (u *update) fetchOrRemake(ctx context.Context, refspecs []string) error {
	if !u.isMarked(completeMark) {
		return u.remake(ctx, refspecs)
	}
	if u.isMarked(fetchingMark) {
		if err := u.clearLeftovers(); err != nil {
			return err
		}
	}
	follow := refspecs
	if len(follow) == 0 {
		follow = branchesAndTags
	}
	err := u.fetch(ctx, follow)
	if !errors.Is(err, ErrDamaged) {
		return err
	}
	return u.remake(ctx, refspecs)
}

// remake makes the mirror from nothing. A clone, which packs its references itself, takes a third of the time that a
// fetch into an empty repository takes; but it knows no refspecs.
func (u *update) remake(ctx context.Context, refspecs []string) error {
	u.known.Clear()
	if err := os.RemoveAll(u.dir); err != nil {
		return fmt.Errorf("remove a broken mirror: %w", err)
	}
	if len(refspecs) == 0 {
		return u.clone(ctx)
	}
	if err := u.create(ctx); err != nil {
		return err
	}
	return u.fetch(ctx, refspecs)
}

// clone does not take a repository on the same disk file by file (--no-local): with it would come what no reference
// reaches and may be there in part only.
func (u *update) clone(ctx context.Context) error {
	place := failpoint.At("clone a mirror")
	place.Before()
	err := u.git.run(ctx, command{
		doing: "clone " + u.remote.shown,
		args:  []string{"clone", "--quiet", "--bare", "--no-local", "--template=", "--end-of-options", u.remote.url, u.dir},
		as:    u.as,
		holds: u.lock.file,
	})
	if err != nil {
		return err
	}
	place.After()
	return u.mark(completeMark)
}

func (u *update) create(ctx context.Context) error {
	return u.git.run(ctx, command{
		doing: "make the mirror of " + u.remote.shown,
		args:  []string{"init", "--quiet", "--bare", "--template=", "--end-of-options", u.dir},
		holds: u.lock.file,
	})
}

// fetch runs one git fetch and packs the references, so that a checkout finds them all in one file.
func (u *update) fetch(ctx context.Context, refspecs []string) error {
	for _, spec := range refspecs {
		if err := checkRef(strings.TrimPrefix(spec, "+")); err != nil {
			return err
		}
	}
	args := []string{
		"fetch", "--quiet", "--prune", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules",
		"--no-auto-maintenance", "--end-of-options", u.remote.url,
	}
	return u.writing(func() error {
		place := failpoint.At("fetch")
		place.Before()
		if err := u.run(ctx, u.lock, u.as, "fetch "+u.remote.shown, append(args, refspecs...)...); err != nil {
			return err
		}
		place.After()
		if err := u.run(ctx, u.lock, nil, "pack the references of "+u.remote.shown, "pack-refs", "--all"); err != nil {
			return err
		}
		return u.mark(completeMark)
	})
}

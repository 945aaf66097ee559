package git

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/towpath-cd/towpath/internal/failpoint"
)

const (
	// completeMark stands in a mirror once its first fetch has ended. A mirror without it is made anew.
	completeMark = "towpath-complete"
	// fetchingMark stands in a mirror while it is written to. Found by the next one who holds the lock, it says
	// that a writer died.
	fetchingMark = "towpath-fetching"
)

// branchesAndTags is what a mirror follows unless told otherwise.
var branchesAndTags = []string{"+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*"}

// Mirror is a bare copy of one remote repository in a folder. It may be used by many goroutines, and the folder
// by many processes: who writes holds a lock, who reads needs none.
type Mirror struct {
	git    *Git
	dir    string
	remote remote
	known  sync.Map // hashes seen to be complete here
}

// Open returns the mirror of the repository at address, kept in dir. Nothing is asked or written until the first
// fetch.
func (g *Git) Open(dir, address string) (*Mirror, error) {
	r, err := parseRemote(address)
	if err != nil {
		return nil, err
	}
	absolute, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("open the mirror of %s: %w", r.shown, err)
	}
	return &Mirror{git: g, dir: absolute, remote: r}, nil
}

// Dir is the mirror's folder.
func (m *Mirror) Dir() string { return m.dir }

// Ensure fetches unless the mirror holds revision. A revision that no followed reference reaches (after a forced
// push, or of a pull request) is asked for by its hash, which most forges allow; else the error is an ErrNotFound.
func (m *Mirror) Ensure(ctx context.Context, revision string, refspecs ...string) error {
	if held, err := m.Has(ctx, revision); held || err != nil {
		return err
	}
	lock, err := m.lock(ctx)
	if err != nil {
		return err
	}
	defer lock.unlock()
	if m.isTip(revision) {
		return nil // another fetched it while we waited
	}
	if err := m.fetchOrRemake(ctx, lock, refspecs); err != nil {
		return err
	}
	if held, err := m.Has(ctx, revision); held || err != nil {
		return err
	}
	return m.fetch(ctx, lock, []string{revision + ":refs/towpath/" + revision})
}

// Fetch brings the mirror up to date: branches and tags, or the given refspecs ("+refs/pull/7/head:refs/pull/7").
// A mirror that is missing, half made or damaged is made anew.
func (m *Mirror) Fetch(ctx context.Context, refspecs ...string) error {
	lock, err := m.lock(ctx)
	if err != nil {
		return err
	}
	defer lock.unlock()
	return m.fetchOrRemake(ctx, lock, refspecs)
}

// Compact packs what many fetches left in small pieces. Nothing is dropped, also not what no reference reaches
// any more: a running checkout may borrow it.
func (m *Mirror) Compact(ctx context.Context) error {
	lock, err := m.lock(ctx)
	if err != nil {
		return err
	}
	defer lock.unlock()
	return m.writing(func() error {
		return m.run(ctx, lock, "compact the mirror of "+m.remote.shown, "repack", "-q", "-a", "-d", "-k", "-l")
	})
}

func (m *Mirror) lock(ctx context.Context) (*lock, error) {
	if err := os.MkdirAll(filepath.Dir(m.dir), 0o700); err != nil {
		return nil, fmt.Errorf("make the folder of mirrors: %w", err)
	}
	return takeLock(ctx, m.dir+".lock")
}

func (m *Mirror) fetchOrRemake(ctx context.Context, lock *lock, refspecs []string) error {
	if !m.isMarked(completeMark) {
		return m.remake(ctx, lock, refspecs)
	}
	if m.isMarked(fetchingMark) {
		if err := m.clearLeftovers(); err != nil {
			return err
		}
	}
	follow := refspecs
	if len(follow) == 0 {
		follow = branchesAndTags
	}
	err := m.fetch(ctx, lock, follow)
	if !errors.Is(err, ErrDamaged) {
		return err
	}
	return m.remake(ctx, lock, refspecs)
}

// remake makes the mirror from nothing. A clone, which packs its references itself, takes a third of the time that a
// fetch into an empty repository takes; but it knows no refspecs.
func (m *Mirror) remake(ctx context.Context, lock *lock, refspecs []string) error {
	m.known.Clear()
	if err := os.RemoveAll(m.dir); err != nil {
		return fmt.Errorf("remove a broken mirror: %w", err)
	}
	if len(refspecs) == 0 {
		return m.clone(ctx, lock)
	}
	if err := m.create(ctx, lock); err != nil {
		return err
	}
	return m.fetch(ctx, lock, refspecs)
}

// clone does not take a repository on the same disk file by file (--no-local): with it would come what no reference
// reaches and may be there in part only.
func (m *Mirror) clone(ctx context.Context, lock *lock) error {
	place := failpoint.At("clone a mirror")
	place.Before()
	err := m.git.run(ctx, command{
		doing: "clone " + m.remote.shown,
		args:  []string{"clone", "--quiet", "--bare", "--no-local", "--template=", "--end-of-options", m.remote.url, m.dir},
		env:   m.remote.env,
		holds: lock.file,
	})
	if err != nil {
		return err
	}
	place.After()
	return m.mark(completeMark)
}

// fetch runs one git fetch and packs the references, so that a checkout finds them all in one file.
func (m *Mirror) fetch(ctx context.Context, lock *lock, refspecs []string) error {
	for _, spec := range refspecs {
		if err := checkRef(strings.TrimPrefix(spec, "+")); err != nil {
			return err
		}
	}
	args := []string{
		"fetch", "--quiet", "--prune", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules",
		"--no-auto-maintenance", "--end-of-options", m.remote.url,
	}
	return m.writing(func() error {
		place := failpoint.At("fetch")
		place.Before()
		if err := m.run(ctx, lock, "fetch "+m.remote.shown, append(args, refspecs...)...); err != nil {
			return err
		}
		place.After()
		if err := m.run(ctx, lock, "pack the references of "+m.remote.shown, "pack-refs", "--all"); err != nil {
			return err
		}
		return m.mark(completeMark)
	})
}

// writing holds fetchingMark while do writes into the mirror. It stays when do fails: the next writer cleans up.
func (m *Mirror) writing(do func() error) error {
	if err := m.mark(fetchingMark); err != nil {
		return err
	}
	if err := do(); err != nil {
		return err
	}
	if err := os.Remove(filepath.Join(m.dir, fetchingMark)); err != nil {
		return fmt.Errorf("unmark a mirror: %w", err)
	}
	return nil
}

func (m *Mirror) mark(name string) error {
	if err := os.WriteFile(filepath.Join(m.dir, name), nil, 0o600); err != nil {
		return fmt.Errorf("mark a mirror: %w", err)
	}
	return nil
}

func (m *Mirror) isMarked(name string) bool {
	_, err := os.Stat(filepath.Join(m.dir, name))
	return err == nil
}

func (m *Mirror) create(ctx context.Context, lock *lock) error {
	return m.git.run(ctx, command{
		doing: "make the mirror of " + m.remote.shown,
		args:  []string{"init", "--quiet", "--bare", "--template=", "--end-of-options", m.dir},
		holds: lock.file,
	})
}

// clearLeftovers removes the lock and temporary files of a git process that was killed. No other writes here:
// the killed one's children would still hold our lock.
func (m *Mirror) clearLeftovers() error {
	err := filepath.WalkDir(m.dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		if strings.HasSuffix(path, ".lock") || strings.HasPrefix(entry.Name(), "tmp_") {
			return os.Remove(path)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("clear what a killed fetch left: %w", err)
	}
	return nil
}

func (m *Mirror) run(ctx context.Context, lock *lock, doing string, args ...string) error {
	return m.git.run(ctx, command{
		doing: doing,
		args:  append([]string{"--git-dir=" + m.dir}, args...),
		env:   m.remote.env,
		holds: lock.file,
	})
}

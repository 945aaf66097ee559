package git

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
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

// ownRefs is where a mirror keeps what is no branch and no tag.
const ownRefs = "refs/towpath/"

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
	r, err := g.parse(address)
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

// Want is a revision that a mirror is to hold, and where it is to be had.
type Want struct {
	Revision string // full hash
	Ref      string // full name of the reference that held it last; empty where that is a branch or a tag
	Access   Access
}

// Ensure fetches unless the mirror holds the revision: branches and tags, and the reference that is named. A revision
// that none of them reaches any more (after a forced push, or of a pull request that was closed) is asked for by its hash,
// which most forges allow; else the error is an ErrNotFound.
func (m *Mirror) Ensure(ctx context.Context, w Want) error {
	if w.Ref != "" {
		if err := CheckRef(w.Ref); err != nil {
			return err
		}
	}
	if held, err := m.Has(ctx, w.Revision); held || err != nil {
		return err
	}
	lock, err := m.lock(ctx)
	if err != nil {
		return err
	}
	defer lock.unlock()
	if m.isTip(w.Revision) {
		return nil // another fetched it while we waited
	}
	u, err := m.begin(lock, w.Access)
	if err != nil {
		return err
	}
	defer u.end()
	if err := u.bring(ctx, w.Ref); err != nil {
		return err
	}
	if held, err := m.Has(ctx, w.Revision); held || err != nil {
		return err
	}
	return u.fetch(ctx, []string{w.Revision + ":" + ownRefs + w.Revision})
}

// Fetch brings the mirror up to date: branches and tags, or the given refspecs ("+refs/pull/7/head:refs/pull/7").
// A mirror that is missing, half made or damaged is made anew.
func (m *Mirror) Fetch(ctx context.Context, a Access, refspecs ...string) error {
	lock, err := m.lock(ctx)
	if err != nil {
		return err
	}
	defer lock.unlock()
	u, err := m.begin(lock, a)
	if err != nil {
		return err
	}
	defer u.end()
	return u.fetchOrRemake(ctx, refspecs)
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
		return m.run(ctx, lock, nil, "compact the mirror of "+m.remote.shown, "repack", "-q", "-a", "-d", "-k", "-l")
	})
}

func (m *Mirror) lock(ctx context.Context) (*lock, error) {
	if err := os.MkdirAll(filepath.Dir(m.dir), 0o700); err != nil {
		return nil, fmt.Errorf("make the folder of mirrors: %w", err)
	}
	return takeLock(ctx, m.dir+".lock")
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

func (m *Mirror) run(ctx context.Context, lock *lock, as *session, doing string, args ...string) error {
	return m.git.run(ctx, command{
		doing: doing,
		args:  append([]string{"--git-dir=" + m.dir}, args...),
		as:    as,
		holds: lock.file,
	})
}

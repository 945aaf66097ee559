package flow

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/artifact"
	"github.com/towpath-cd/towpath/internal/store"
)

// DefaultCacheLimit is how many bytes a project's cache holds where nobody says otherwise.
const DefaultCacheLimit int64 = 10e9

// cacheUsedEvery is how exactly it is known when an entry was used last. Each note is a commit.
const cacheUsedEvery = time.Minute

// CacheWish asks for an entry of one of a step's caches.
type CacheWish struct {
	Cache   int // of the step's definition, counted from 0
	Key     string
	Restore []string // what the key of another entry may begin with, in this order
}

// CacheOffer is what a step would keep.
type CacheOffer struct {
	Cache int
	Scope towpath.CacheScope // that the worker means to write; the server decides
	Key   string
	Trees []towpath.CacheTree
}

// cacheOf is what a lease may do with one cache of its step.
type cacheOf struct {
	run    towpath.Run
	paths  []string
	scopes towpath.CacheScopes
}

// newCacheOf answers it, where the worker holds the lease.
func newCacheOf(tx *store.Tx, l towpath.Lease, index int) (cacheOf, error) {
	run, step, err := heldStep(tx, l)
	if err != nil {
		return cacheOf{}, err
	}
	if step.Script == nil || index < 0 || index >= len(step.Script.Cache) {
		return cacheOf{}, towpath.Errorf(towpath.CodeInvalid, "step %q has no cache %d", l.Step, index)
	}
	return cacheOf{run: run, paths: step.Script.Cache[index].Paths, scopes: run.Change.CacheScopes()}, nil
}

// FindCache answers the entry to be restored: of exactly the key, else the newest one of the first prefix that has any. It
// answers nil where there is none. What is only half in the artifact store, as after a restored backup, is forgotten.
func (c *Conductor) FindCache(ctx context.Context, l towpath.Lease, w CacheWish) (*towpath.CacheEntry, error) {
	for {
		var e store.KnownCacheEntry
		var found bool
		err := c.store.View(ctx, func(tx *store.Tx) error {
			of, err := newCacheOf(tx, l, w.Cache)
			if err == nil {
				e, found, err = find(tx, store.CacheQuery{Project: of.run.Project, Scopes: of.scopes.Reads, Paths: of.paths, Key: w.Key}, w.Restore)
			}
			return err
		})
		if err != nil || !found {
			return nil, err
		}
		isWhole := c.isWhole(e.CacheEntry)
		if !isWhole || c.clock().Sub(e.UsedAt) >= cacheUsedEvery {
			err = c.noteCache(ctx, e.ID, isWhole)
		}
		if err != nil || isWhole {
			return &e.CacheEntry, err
		}
	}
}

// noteCache notes that an entry was used, or that it is no use.
func (c *Conductor) noteCache(ctx context.Context, id int64, isWhole bool) error {
	return c.store.Update(ctx, func(tx *store.Tx) error {
		if isWhole {
			return tx.UseCacheEntry(id, c.clock())
		}
		return tx.ForgetCacheEntry(id)
	})
}

func find(tx *store.Tx, q store.CacheQuery, prefixes []string) (e store.KnownCacheEntry, found bool, err error) {
	e, found, err = tx.CacheEntry(q)
	for i := 0; i < len(prefixes) && !found && err == nil; i++ {
		q.Key = prefixes[i]
		e, found, err = tx.NewestCacheEntry(q)
	}
	return e, found, err
}

// isWhole says whether all of an entry is stored.
func (c *Conductor) isWhole(e towpath.CacheEntry) bool {
	for _, t := range e.Trees {
		if _, err := c.wholeTree(t); err != nil {
			return false
		}
	}
	return true
}

// wholeTree answers a tree as it is stored, whatever the worker says of it.
func (c *Conductor) wholeTree(t towpath.CacheTree) (towpath.CacheTree, error) {
	digest, err := artifact.ParseDigest(t.Digest)
	if err != nil {
		return t, err
	}
	manifest, err := c.artifacts.Manifest(digest)
	if err != nil {
		return t, err
	}
	if missing := c.artifacts.Missing(manifest.Digests()); len(missing) > 0 {
		return t, fmt.Errorf("%d blobs of %s are not stored: %w", len(missing), t.Path, artifact.ErrNotFound)
	}
	t.Files, t.Size = len(manifest), manifest.Bytes()
	return t, nil
}

// KeepCache keeps what a step left, whose bytes are stored already, in the scope that its change writes. It answers why it
// is not kept; empty where it is. A worker that asks for another scope is refused, and recorded.
func (c *Conductor) KeepCache(ctx context.Context, l towpath.Lease, o CacheOffer, by Act) (why string, err error) {
	if err := towpath.CheckCacheKey(o.Key); err != nil {
		return "", err
	}
	for i := range o.Trees {
		if o.Trees[i], err = c.wholeTree(o.Trees[i]); err != nil {
			return "", err
		}
	}
	var refused error
	err = c.store.Update(ctx, func(tx *store.Tx) error {
		of, err := newCacheOf(tx, l, o.Cache)
		if err != nil {
			return err
		}
		if o.Scope != of.scopes.Writes {
			refused = towpath.Errorf(towpath.CodeForbidden, "this step may not write the cache of %s", o.Scope)
			return by.Record(tx)
		}
		if !slices.EqualFunc(o.Trees, of.paths, func(t towpath.CacheTree, path string) bool { return t.Path == path }) {
			return towpath.Errorf(towpath.CodeInvalid, "the trees are not those of the step's cache")
		}
		if of.scopes.Writes == "" {
			why = "what comes from a fork keeps nothing"
			return nil
		}
		why, err = c.keepEntry(tx, towpath.CacheEntry{
			Project: of.run.Project, Scope: of.scopes.Writes, Key: o.Key, Trees: o.Trees, Run: l.Run, KeptAt: c.clock(),
		}, of.paths)
		return err
	})
	return why, errors.Join(err, refused)
}

// keepEntry adds an entry, once there is room for it.
func (c *Conductor) keepEntry(tx *store.Tx, e towpath.CacheEntry, paths []string) (why string, err error) {
	there, found, err := tx.CacheEntry(store.CacheQuery{Project: e.Project, Scopes: []towpath.CacheScope{e.Scope}, Paths: paths, Key: e.Key})
	switch {
	case err != nil:
		return "", err
	case found && there.Run == e.Run && slices.Equal(there.Trees, e.Trees): // the answer was lost
		return "", nil
	case found:
		return "another step has kept it meanwhile", nil
	}
	if why, err = c.makeRoom(tx, e); err != nil || why != "" {
		return why, err
	}
	_, err = tx.KeepCacheEntry(e)
	return "", err
}

// makeRoom removes what was used longest ago until the entry fits into its project's limit. What a protected branch keeps
// may push out anything, what another one keeps only what such branches kept: who may not write what protected branches
// read cannot take it from them either.
func (c *Conductor) makeRoom(tx *store.Tx, e towpath.CacheEntry) (why string, err error) {
	mayPushOutAll := e.Scope == towpath.CacheProtected
	room := c.cacheLimit
	if !mayPushOutAll {
		size, err := tx.CacheSize(e.Project, towpath.CacheProtected)
		if err != nil {
			return "", err
		}
		room -= size
	}
	if e.Size() > room {
		return fmt.Sprintf("it has %d bytes, and there is room for %d", e.Size(), max(room, 0)), nil
	}
	for {
		size, err := tx.CacheSize(e.Project, "")
		if err != nil || size+e.Size() <= c.cacheLimit {
			return "", err
		}
		oldest, _, err := tx.LeastUsedCacheEntry(e.Project, mayPushOutAll)
		if err == nil {
			err = tx.ForgetCacheEntry(oldest.ID)
		}
		if err != nil {
			return "", err
		}
	}
}

// MayReadCached says whether an attempt that is leased may read a tree as part of its project's cache.
func (c *Conductor) MayReadCached(ctx context.Context, l towpath.Lease, digest string) (may bool, err error) {
	err = c.store.View(ctx, func(tx *store.Tx) error {
		run, _, err := tx.Run(l.Run)
		if err == nil {
			may, err = tx.CacheHolds(run.Project, run.Change.CacheScopes().Reads, digest)
		}
		return err
	})
	return may, err
}

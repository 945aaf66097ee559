package worker

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/client"
	"github.com/towpath-cd/towpath/internal/artifact"
)

// How long a step waits for its cache at most. Nothing depends on a cache, so that a server which is away costs no more.
const (
	cacheAnswer  = 30 * time.Second // to be told what there is
	cacheRestore = 20 * time.Minute
	cacheKeep    = 40 * time.Minute
)

// homeMark begins the paths of a cache that are below HOME.
const homeMark = "~/"

// stepCache is one cache of a step under way.
type stepCache struct {
	client.Cache
	index int
	key   string // filled in; empty where that failed
	exact bool   // the entry of this very key was found: there is nothing to keep
}

// restoreCaches brings back what former steps kept. Whatever goes wrong with it is a line of the log.
func (a *attempt) restoreCaches(ctx context.Context) {
	if len(a.lease.Caches) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, cacheRestore)
	defer cancel()
	for i, c := range a.lease.Caches {
		s := stepCache{Cache: c, index: i}
		said, err := a.restoreCache(ctx, &s)
		if err != nil {
			said = fmt.Sprintf("cache %s: not restored: %s", s.name(), err)
		}
		a.output.say(said)
		a.caches = append(a.caches, s)
	}
}

// name is what a cache is called in the log.
func (s stepCache) name() string {
	if s.key != "" {
		return s.key
	}
	return s.Key
}

func (a *attempt) restoreCache(ctx context.Context, s *stepCache) (said string, err error) {
	began := time.Now()
	prefixes, err := a.fillIn(ctx, s)
	if err != nil {
		return "", err
	}
	entry, err := a.findCache(ctx, client.CacheWish{Cache: s.index, Key: s.key, Restore: prefixes})
	if err != nil {
		return "", err
	}
	if entry == nil {
		return fmt.Sprintf("cache %s: missed, nothing was kept so far", s.key), nil
	}
	s.exact = entry.Key == s.key
	left, err := a.bring(ctx, s, *entry)
	if err != nil {
		return "", err
	}
	said = fmt.Sprintf("cache %s: restored from %s (%d files, %s, %d ms)", s.key, entry.Key, entry.Files, sizeOf(entry.Size), time.Since(began).Milliseconds())
	if len(left) > 0 {
		said += "; left as it is, from an earlier step on this worker: " + strings.Join(left, ", ")
	}
	return said, nil
}

// fillIn makes the key and the prefixes of what the workspace holds.
func (a *attempt) fillIn(ctx context.Context, s *stepCache) (prefixes []string, err error) {
	facts := towpath.CacheFacts{OS: runtime.GOOS, Arch: runtime.GOARCH, Branch: a.lease.Branch, Hash: func(globs []string) (string, error) {
		return hashOf(ctx, a.room.workspace, globs)
	}}
	fill := func(text string) (string, error) {
		key, err := towpath.ParseCacheKey(text)
		if err != nil {
			return "", err
		}
		return key.Fill(facts)
	}
	if s.key, err = fill(s.Key); err != nil {
		return nil, err
	}
	for _, text := range s.Restore {
		prefix, err := fill(text)
		if err != nil {
			return nil, err
		}
		prefixes = append(prefixes, prefix)
	}
	return prefixes, nil
}

// hashOf answers a text for the names and contents of the files that the globs match.
func hashOf(ctx context.Context, workspace string, globs []string) (string, error) {
	patterns := make([]string, len(globs))
	for i, glob := range globs {
		patterns[i] = path.Clean(filepath.ToSlash(glob))
	}
	m, err := artifact.Scan(ctx, artifact.Selection{Dir: workspace, Patterns: patterns})
	if err != nil {
		return "", err
	}
	if m = withoutGit(m); len(m) == 0 {
		return "", fmt.Errorf("no file is called %s", strings.Join(globs, " or "))
	}
	_, digits, _ := strings.Cut(m.Digest().String(), ":")
	return digits[:32], nil
}

func (a *attempt) findCache(ctx context.Context, w client.CacheWish) (entry *client.CacheEntry, err error) {
	ctx, cancel := context.WithTimeout(ctx, cacheAnswer)
	defer cancel()
	err = persist(ctx, func() error {
		entry, err = a.Client.FindCache(ctx, a.lease.LeaseRef, w)
		return err
	})
	return entry, err
}

// bring unpacks all trees of an entry, and only then puts each in its place: of one that is damaged nothing is there. What
// stands in a kept HOME already, other steps of this worker may be using right now: it is left as it is, and answered.
func (a *attempt) bring(ctx context.Context, s *stepCache, entry client.CacheEntry) (left []string, err error) {
	home, err := a.home()
	if err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(a.dirs.place(a.place))
	if err != nil {
		return nil, err
	}
	defer root.Close()
	scratch := filepath.Join(home, restoring+rand.Text())
	defer a.discard(scratch)
	p := placing{root: root, workspace: filepath.Base(a.room.workspace), aside: "cache-" + strconv.Itoa(s.index) + "-"}
	var trees []broughtTree
	for i, tree := range entry.Trees {
		t := broughtTree{CacheTree: tree, placing: &p, home: home}
		t.name, t.isOfHome = strings.CutPrefix(tree.Path, homeMark)
		if t.isOfHome && holdsFiles(filepath.Join(home, t.name)) {
			left = append(left, tree.Path)
			continue
		}
		t.inside = fmt.Sprintf(".towpath/cache-%d-%d", s.index, i)
		if t.at = filepath.Join(root.Name(), filepath.FromSlash(t.inside)); t.isOfHome {
			t.at = filepath.Join(scratch, strconv.Itoa(i))
		}
		if err := errors.Join(a.unpackTree(ctx, tree, t.at), a.guest.own(t.at)); err != nil {
			return nil, fmt.Errorf("%s: %w", tree.Path, err)
		}
		trees = append(trees, t)
	}
	for _, t := range trees {
		if err := t.put(); err != nil {
			return nil, fmt.Errorf("%s: %w", t.Path, err)
		}
		if t.isOfHome {
			if err := a.guest.ownFolders(home, t.name); err != nil {
				return nil, fmt.Errorf("%s: %w", t.Path, err)
			}
		}
	}
	return left, nil
}

// restoring begins the names of folders in a HOME in which trees are unpacked before they get their place there.
const restoring = ".towpath-cache-"

// broughtTree is a tree that is unpacked beside its place: in HOME, or in the folder of the place, where it is called inside.
type broughtTree struct {
	client.CacheTree
	*placing
	name       string // below the workspace or HOME
	isOfHome   bool
	home       string
	at, inside string
}

func (t broughtTree) put() error {
	if t.isOfHome {
		return moveHome(t.home, t.at, t.name)
	}
	return t.placing.put(t.inside, client.Artifact{Path: t.name})
}

func (a *attempt) unpackTree(ctx context.Context, t client.CacheTree, dir string) error {
	server := a.Client.ArtifactsOfLease(a.lease.LeaseRef)
	return persist(ctx, func() error { return a.cache.unpack(ctx, server, t.Digest, dir) })
}

func holdsFiles(dir string) bool {
	entries, err := os.ReadDir(dir)
	return err == nil && len(entries) > 0
}

// moveHome gives a folder of HOME its name there, unless another step was faster. HOME cannot be left by it.
func moveHome(home, from, name string) error {
	root, err := os.OpenRoot(home)
	if err != nil {
		return err
	}
	defer root.Close()
	from, err = filepath.Rel(home, from)
	if err != nil {
		return err
	}
	name = filepath.FromSlash(path.Clean(name))
	if err := root.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	_ = root.Remove(name) // an empty one
	if err = root.Rename(from, name); err != nil && holdsFiles(filepath.Join(home, name)) {
		return nil
	}
	return err
}

// keepCaches keeps what a step that passed left under keys that had no entry. Whatever goes wrong with it is a line of the
// log.
func (a *attempt) keepCaches(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, cacheKeep)
	defer cancel()
	for _, s := range a.caches {
		if s.exact || s.key == "" {
			continue
		}
		said, err := a.keepCache(ctx, s)
		if err != nil {
			said = "not kept: " + err.Error()
		}
		a.output.say(fmt.Sprintf("cache %s: %s", s.key, said))
	}
}

func (a *attempt) keepCache(ctx context.Context, s stepCache) (said string, err error) {
	if a.lease.CacheScope == "" {
		return "", errors.New("what comes from a fork keeps nothing")
	}
	began := time.Now()
	offer := client.CacheOffer{Cache: s.index, Scope: a.lease.CacheScope, Key: s.key}
	sum := client.CacheTree{}
	for _, name := range s.Paths {
		tree, err := a.storeTree(ctx, name)
		if err != nil {
			return "", fmt.Errorf("%s: %w", name, err)
		}
		offer.Trees = append(offer.Trees, tree)
		sum.Files, sum.Size = sum.Files+tree.Files, sum.Size+tree.Size
	}
	var answer client.CacheAnswer
	err = persist(ctx, func() error {
		answer, err = a.Client.KeepCache(ctx, a.lease.LeaseRef, offer)
		return err
	})
	if err == nil && !answer.Kept {
		err = errors.New(answer.Why)
	}
	return fmt.Sprintf("kept (%d files, %s, %d ms)", sum.Files, sizeOf(sum.Size), time.Since(began).Milliseconds()), err
}

// storeTree brings one folder of a cache to the server.
func (a *attempt) storeTree(ctx context.Context, name string) (client.CacheTree, error) {
	base, inside := a.room.workspace, name
	if below, isOfHome := strings.CutPrefix(name, homeMark); isOfHome {
		home, err := a.home()
		if err != nil {
			return client.CacheTree{}, err
		}
		base, inside = home, below
	}
	dir, err := folderBelow(base, path.Clean(filepath.ToSlash(inside)))
	if err == nil {
		err = a.guest.mustOwn(dir)
	}
	if err != nil {
		return client.CacheTree{}, err
	}
	m, err := artifact.Scan(ctx, artifact.Selection{Dir: dir})
	if err != nil {
		return client.CacheTree{}, err
	}
	digest, err := a.upload(ctx, dir, m)
	if err != nil {
		return client.CacheTree{}, err
	}
	return client.CacheTree{Path: name, Digest: digest, Files: files(m), Size: m.Bytes()}, nil
}

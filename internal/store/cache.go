package store

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/towpath-cd/towpath"
)

// CacheQuery asks for an entry of a project's cache.
type CacheQuery struct {
	Project string               // ID
	Scopes  []towpath.CacheScope // that may be read, the first one first
	Paths   []string             // of the entry, as the pipeline file has them
	Key     string
}

// KnownCacheEntry is an entry with the number that the store knows it by.
type KnownCacheEntry struct {
	ID int64
	towpath.CacheEntry
}

// CacheEntry answers the entry of exactly the key, in the first scope that has one, and whether there is any.
func (tx *Tx) CacheEntry(q CacheQuery) (e KnownCacheEntry, found bool, err error) {
	for _, scope := range q.Scopes {
		e, found, err = tx.cacheEntry("project = ? AND scope = ? AND paths = ? AND key = ?", q.Project, string(scope), pathsText(q.Paths), q.Key)
		if err != nil || found {
			return e, found, err
		}
	}
	return e, false, nil
}

// NewestCacheEntry answers the entry that was kept last of those whose keys begin with the query's, and whether there is any.
func (tx *Tx) NewestCacheEntry(q CacheQuery) (e KnownCacheEntry, found bool, err error) {
	var c conditions
	c.add("project = ? AND paths = ? AND substr(key, 1, length(?)) = ?", q.Project, pathsText(q.Paths), q.Key, q.Key)
	c.in("scope", texts(q.Scopes))
	return tx.cacheEntry(strings.Join(c.texts, " AND ")+" ORDER BY kept_at DESC, id DESC LIMIT 1", c.args...)
}

// CacheEntries answers a project's entries, those that were used last first.
func (tx *Tx) CacheEntries(project string) ([]KnownCacheEntry, error) {
	return tx.cacheEntries("project = ? ORDER BY used_at DESC, id DESC", project)
}

// LeastUsedCacheEntry answers the entry of the project that was used longest ago, and whether there is any: one of a
// protected branch only where the caller says so.
func (tx *Tx) LeastUsedCacheEntry(project string, orProtected bool) (e KnownCacheEntry, found bool, err error) {
	condition, args := "project = ?", []any{project}
	if !orProtected {
		condition, args = condition+" AND scope <> ?", append(args, string(towpath.CacheProtected))
	}
	return tx.cacheEntry(condition+" ORDER BY used_at, id LIMIT 1", args...)
}

// CacheSize answers how many bytes the entries of a project have together; of one scope only, where it is not empty.
func (tx *Tx) CacheSize(project string, only towpath.CacheScope) (int64, error) {
	var c conditions
	c.add("project = ?", project)
	c.equal("scope", string(only))
	n, err := one(tx, nil, number, "SELECT COALESCE(SUM(size), 0) FROM cache_entries"+c.where(), c.args...)
	return int64(n), err
}

// KeepCacheEntry adds an entry, and says whether it did: one that is there stays as it is.
func (tx *Tx) KeepCacheEntry(e towpath.CacheEntry) (bool, error) {
	var paths []string
	for _, t := range e.Trees {
		paths = append(paths, t.Path)
	}
	ids, err := all(tx, number, `
		INSERT INTO cache_entries (project, scope, key, paths, run, size, kept_at, used_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT DO NOTHING RETURNING id`,
		e.Project, string(e.Scope), e.Key, pathsText(paths), e.Run, e.Size(), micros(e.KeptAt), micros(e.KeptAt))
	if err != nil || len(ids) == 0 {
		return false, err
	}
	for i, t := range e.Trees {
		_, err := tx.exec("INSERT INTO cache_trees (entry, position, path, digest, files, size) VALUES (?, ?, ?, ?, ?, ?)",
			ids[0], i, t.Path, t.Digest, t.Files, t.Size)
		if err != nil {
			return false, err
		}
	}
	return true, nil
}

// UseCacheEntry notes that an entry was restored.
func (tx *Tx) UseCacheEntry(id int64, at time.Time) error {
	_, err := tx.exec("UPDATE cache_entries SET used_at = ? WHERE id = ?", micros(at), id)
	return err
}

// ForgetCacheEntry removes one entry.
func (tx *Tx) ForgetCacheEntry(id int64) error {
	_, err := tx.exec("DELETE FROM cache_entries WHERE id = ?", id)
	return err
}

// ForgetCache removes the entries of a project whose keys begin with the prefix, and answers how many there were.
func (tx *Tx) ForgetCache(project, prefix string) (int, error) {
	return tx.exec("DELETE FROM cache_entries WHERE project = ? AND substr(key, 1, length(?)) = ?", project, prefix, prefix)
}

// ForgetCaches removes every entry of every project.
func (tx *Tx) ForgetCaches() error {
	_, err := tx.exec("DELETE FROM cache_entries")
	return err
}

// CacheHolds says whether an entry of the project in one of the scopes has the tree.
func (tx *Tx) CacheHolds(project string, scopes []towpath.CacheScope, digest string) (bool, error) {
	var c conditions
	c.add("cache_trees.digest = ? AND cache_entries.project = ?", digest, project)
	c.in("cache_entries.scope", texts(scopes))
	found, err := all(tx, number, "SELECT 1 FROM cache_trees JOIN cache_entries ON cache_entries.id = cache_trees.entry"+c.where()+" LIMIT 1", c.args...)
	return len(found) > 0, err
}

// CachedDigests answers the digest of every tree that some entry has.
func (tx *Tx) CachedDigests() ([]string, error) {
	return all(tx, text, "SELECT DISTINCT digest FROM cache_trees ORDER BY digest")
}

func (tx *Tx) cacheEntries(condition string, args ...any) ([]KnownCacheEntry, error) {
	found, err := all(tx, scanCacheEntry, "SELECT id, project, scope, key, run, kept_at, used_at FROM cache_entries WHERE "+condition, args...)
	for i := 0; i < len(found) && err == nil; i++ {
		found[i].Trees, err = all(tx, scanCacheTree, "SELECT path, digest, files, size FROM cache_trees WHERE entry = ? ORDER BY position", found[i].ID)
	}
	return found, err
}

func (tx *Tx) cacheEntry(condition string, args ...any) (e KnownCacheEntry, found bool, err error) {
	all, err := tx.cacheEntries(condition, args...)
	if err != nil || len(all) == 0 {
		return e, false, err
	}
	return all[0], true, nil
}

func scanCacheEntry(r row) (KnownCacheEntry, error) {
	var e KnownCacheEntry
	var scope string
	var kept, used int64
	err := r.Scan(&e.ID, &e.Project, &scope, &e.Key, &e.Run, &kept, &used)
	e.Scope, e.KeptAt, e.UsedAt = towpath.CacheScope(scope), moment(kept), moment(used)
	return e, err
}

func scanCacheTree(r row) (t towpath.CacheTree, err error) {
	return t, r.Scan(&t.Path, &t.Digest, &t.Files, &t.Size)
}

// pathsText is paths as the database has them.
func pathsText(paths []string) string {
	text, _ := json.Marshal(paths) // texts cannot fail
	return string(text)
}

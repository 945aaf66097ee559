package web

import (
	"fmt"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/client"
	"github.com/towpath-cd/towpath/internal/flow"
	"github.com/towpath-cd/towpath/internal/store"
)

func (s *Server) registerCache() {
	api(s, "POST "+leases+"cache/find", s.findCache)
	api(s, "POST "+leases+"cache/keep", s.keepCache)
	api(s, "GET /api/v1/projects/{project}/cache", s.cache)
	api(s, "DELETE /api/v1/projects/{project}/cache", s.clearCache, aText("key", "what the keys begin with; all without it"))
}

// findCache answers what a step restores, or null.
func (s *Server) findCache(c call[client.CacheWish]) (*client.CacheEntry, error) {
	lease, err := s.heldLease(c.Request, c.Caller)
	if err != nil {
		return nil, err
	}
	found, err := s.Flow.FindCache(c.Context(), lease, flow.CacheWish(c.Body))
	if err != nil || found == nil {
		return nil, err
	}
	answer := cacheEntryOf(*found)
	return &answer, nil
}

// keepCache takes what a step keeps.
func (s *Server) keepCache(c call[client.CacheOffer]) (client.CacheAnswer, error) {
	lease, err := s.heldLease(c.Request, c.Caller)
	if err != nil {
		return client.CacheAnswer{}, err
	}
	offer := flow.CacheOffer{Cache: c.Body.Cache, Scope: towpath.CacheScope(c.Body.Scope), Key: c.Body.Key}
	for _, t := range c.Body.Trees {
		offer.Trees = append(offer.Trees, towpath.CacheTree(t))
	}
	why, err := s.Flow.KeepCache(c.Context(), lease, offer, flow.Act{
		By: c.Name, Record: s.record(c.Caller, "cache.refused", lease.Run+" "+lease.Step, fmt.Sprintf("asked for the scope %q", offer.Scope)),
	})
	return client.CacheAnswer{Kept: err == nil && why == "", Why: why}, explainArtifact(err)
}

func (s *Server) cache(c call[none]) ([]client.CacheEntry, error) {
	found := []client.CacheEntry{}
	err := s.Store.View(c.Context(), func(tx *store.Tx) error {
		entries, err := tx.CacheEntries(c.Project.ID)
		for _, e := range entries {
			entry := cacheEntryOf(e.CacheEntry)
			entry.Project = c.Project.Name
			found = append(found, entry)
		}
		return err
	})
	return found, err
}

func (s *Server) clearCache(c call[none]) (cleared client.Cleared, err error) {
	prefix := c.URL.Query().Get("key")
	err = s.audited(c.Request, c.Caller, "cache.clear", c.Project.Name, prefix, func(tx *store.Tx) error {
		cleared.Entries, err = tx.ForgetCache(c.Project.ID, prefix)
		return err
	})
	return cleared, err
}

func cacheEntryOf(e towpath.CacheEntry) client.CacheEntry {
	entry := client.CacheEntry{
		Scope: string(e.Scope), Key: e.Key, Files: e.Files(), Size: e.Size(), KeptAt: e.KeptAt, UsedAt: e.UsedAt,
	}
	for _, t := range e.Trees {
		entry.Trees = append(entry.Trees, client.CacheTree(t))
	}
	return entry
}

// cachesOf is what a step's lease says of its caches.
func cachesOf(d *towpath.ScriptDefinition) (caches []client.Cache) {
	for _, c := range d.Cache {
		caches = append(caches, client.Cache(c))
	}
	return caches
}

package client

import (
	"context"
	"net/http"
	"net/url"
	"time"
)

// Cache is what a step keeps for later steps, and finds again. Its keys are to be filled in by the worker.
type Cache struct {
	Key     string   `json:"key"`
	Paths   []string `json:"paths"`
	Restore []string `json:"restore,omitempty"`
}

// CacheWish asks for an entry of one of a step's caches.
type CacheWish struct {
	Cache   int      `json:"cache"` // which of the lease's, counted from 0
	Key     string   `json:"key"`
	Restore []string `json:"restore,omitempty"` // what the key of another entry may begin with, in this order
}

// CacheOffer is what a step would keep. Its trees are stored already.
type CacheOffer struct {
	Cache int         `json:"cache"`
	Scope string      `json:"scope"` // of the lease
	Key   string      `json:"key"`
	Trees []CacheTree `json:"trees"` // in the order of the cache's paths
}

// CacheTree is one folder of an entry.
type CacheTree struct {
	Path   string `json:"path"`
	Digest string `json:"digest"`
	Files  int    `json:"files"`
	Size   int64  `json:"size"` // bytes of all files together
}

// CacheEntry is content that was kept under a key.
type CacheEntry struct {
	Project string      `json:"project,omitempty"` // name
	Scope   string      `json:"scope"`             // protected, or branch/NAME
	Key     string      `json:"key"`
	Trees   []CacheTree `json:"trees"`
	Files   int         `json:"files"`
	Size    int64       `json:"size"` // bytes of all files together
	KeptAt  time.Time   `json:"kept_at"`
	UsedAt  time.Time   `json:"used_at"`
}

// CacheAnswer says what became of an offer.
type CacheAnswer struct {
	Kept bool   `json:"kept"`
	Why  string `json:"why,omitempty"` // it was not kept
}

// Cleared says how many entries are gone.
type Cleared struct {
	Entries int `json:"entries"`
}

// FindCache answers the entry to be restored, or nil. Its trees can be had by ArtifactsOfLease.
func (c *Client) FindCache(ctx context.Context, l LeaseRef, w CacheWish) (*CacheEntry, error) {
	return post[*CacheEntry](ctx, c, l.path("cache/find"), w)
}

// KeepCache keeps what a step left under a key. An entry that is there already stays as it is.
func (c *Client) KeepCache(ctx context.Context, l LeaseRef, o CacheOffer) (CacheAnswer, error) {
	return post[CacheAnswer](ctx, c, l.path("cache/keep"), o)
}

// CacheOf answers the entries of a project, those used last first.
func (c *Client) CacheOf(ctx context.Context, project string) ([]CacheEntry, error) {
	return get[[]CacheEntry](ctx, c, "/api/v1/projects/"+escape(project, "cache"), nil)
}

// ClearCache removes the entries of a project whose keys begin with the prefix; all of them where it is empty.
func (c *Client) ClearCache(ctx context.Context, project, prefix string) (Cleared, error) {
	return call[Cleared](ctx, c, http.MethodDelete, "/api/v1/projects/"+escape(project, "cache")+"?"+url.Values{"key": {prefix}}.Encode(), nil)
}

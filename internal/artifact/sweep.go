package artifact

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Swept is what a sweep removed.
type Swept struct {
	Manifests int
	Packs     int
	Bytes     int64 // freed on disk
}

// Hold keeps all that is there until it is released: a sweep that falls into that time does nothing. It waits for one
// that is under way.
func (s *Store) Hold() (release func()) {
	s.held.RLock()
	return s.held.RUnlock
}

// Sweep removes what nothing needs: manifests that are not to be kept, then packs none of whose blobs a manifest
// names. A pack of which less than half is needed is written anew without the rest. What is younger than
// Options.Grace, or was asked for since then, is left alone, so that nobody loses what is being uploaded. When a
// manifest cannot be read, nothing is removed.
func (s *Store) Sweep(ctx context.Context, keep func(manifest Digest) bool) (Swept, error) {
	if !s.held.TryLock() {
		return Swept{}, nil // the next sweep comes soon enough
	}
	defer s.held.Unlock()
	s.sweeping.Lock()
	defer s.sweeping.Unlock()
	before := s.options.Now().Add(-s.options.Grace)
	var swept Swept
	live, dead, err := s.mark(keep, before)
	if err != nil {
		return swept, fmt.Errorf("sweep artifacts: %w", err)
	}
	for _, path := range dead {
		if err := os.Remove(path); err != nil {
			return swept, fmt.Errorf("sweep artifacts: %w", err)
		}
		swept.Manifests++
	}
	for _, p := range s.unused(before) {
		if err := errors.Join(context.Cause(ctx), s.sweepPack(ctx, p, live, &swept)); err != nil {
			return swept, fmt.Errorf("sweep artifacts: %w", err)
		}
	}
	return swept, s.sweepIncoming(before)
}

// mark returns the blobs of the manifests that stay, and the files of those that go.
func (s *Store) mark(keep func(Digest) bool, before time.Time) (live map[Digest]bool, dead []string, err error) {
	entries, err := os.ReadDir(s.manifestDir())
	if err != nil {
		return nil, nil, err
	}
	live = make(map[Digest]bool)
	for _, entry := range entries {
		d, err := ParseDigest(digestPrefix + strings.TrimSuffix(entry.Name(), manifestSuffix))
		if err != nil {
			continue // a temporary file
		}
		info, err := entry.Info()
		if err != nil {
			return nil, nil, err
		}
		if !keep(d) && info.ModTime().Before(before) {
			dead = append(dead, s.manifestPath(d))
			continue
		}
		m, err := s.Manifest(d)
		if err != nil {
			return nil, nil, err
		}
		for _, blob := range m.Digests() {
			live[blob] = true
		}
	}
	return live, dead, nil
}

func (s *Store) unused(before time.Time) []*storedPack {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []*storedPack
	for _, p := range s.packs {
		if p.used.Before(before) {
			all = append(all, p)
		}
	}
	return all
}

func (s *Store) sweepPack(ctx context.Context, p *storedPack, live map[Digest]bool, swept *Swept) error {
	needed, bytes := s.needed(p, live)
	if len(needed) > 0 && 2*bytes >= p.table.bytes() {
		return nil
	}
	if len(needed) > 0 {
		size, err := s.rewrite(ctx, needed)
		if err != nil {
			return err
		}
		swept.Bytes -= size
	}
	if err := s.drop(p); err != nil {
		return err
	}
	swept.Packs++
	swept.Bytes += p.size
	return nil
}

// needed returns the live blobs that are read from this pack, and their size.
func (s *Store) needed(p *storedPack, live map[Digest]bool) (digests []Digest, bytes int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, b := range p.table {
		if live[b.Digest] && s.blobs[b.Digest].pack == p {
			digests = append(digests, b.Digest)
			bytes += b.Size
		}
	}
	return digests, bytes
}

// rewrite stores the blobs in a pack of their own, and returns how much came in.
func (s *Store) rewrite(ctx context.Context, digests []Digest) (int64, error) {
	before := s.Usage().Bytes
	from, to := io.Pipe()
	go func() { to.CloseWithError(s.Pack(ctx, to, digests)) }()
	err := s.PutPack(ctx, from)
	from.CloseWithError(err)
	return s.Usage().Bytes - before, err
}

func (s *Store) drop(p *storedPack) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := os.Remove(p.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	delete(s.packs, p.path)
	for _, b := range p.table {
		if s.blobs[b.Digest].pack == p {
			delete(s.blobs, b.Digest)
		}
	}
	return nil
}

// sweepIncoming removes uploads that nobody went on with.
func (s *Store) sweepIncoming(before time.Time) error {
	entries, err := os.ReadDir(s.incomingDir())
	if err != nil {
		return fmt.Errorf("sweep uploads: %w", err)
	}
	for _, entry := range entries {
		info, err := entry.Info()
		if err != nil || info.ModTime().After(before) {
			continue
		}
		if err := s.forget(filepath.Join(s.incomingDir(), entry.Name())); err != nil {
			return fmt.Errorf("sweep uploads: %w", err)
		}
	}
	return nil
}

// forget removes an upload, unless somebody is about to go on with it.
func (s *Store) forget(path string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.uploads[path] != nil {
		return nil
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

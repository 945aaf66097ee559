package artifact

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/towpath-cd/towpath/internal/durable"
)

// MissingError says which blobs must be stored before a manifest can be.
type MissingError struct{ Digests []Digest }

func (e *MissingError) Error() string { return fmt.Sprintf("%d blobs are not stored", len(e.Digests)) }

// PutManifest stores a manifest's canonical bytes, durably, and returns its digest. If blobs are missing the error
// is a MissingError. The same manifest again is no error.
func (s *Store) PutManifest(content []byte) (Digest, error) {
	m, err := decodeManifest(content, s.options.Limits)
	if err != nil {
		return Digest{}, fmt.Errorf("store a manifest: %w", err)
	}
	s.sweeping.RLock()
	defer s.sweeping.RUnlock()
	if err := s.checkContent(m); err != nil {
		return Digest{}, fmt.Errorf("store a manifest: %w", err)
	}
	d := DigestOf(content)
	if err := durable.WriteFile(s.manifestPath(d), content); err != nil {
		return Digest{}, fmt.Errorf("store a manifest: %w", err)
	}
	s.remember(d, m)
	return d, nil
}

func (s *Store) checkContent(m Manifest) error {
	if missing := s.Missing(m.Digests()); len(missing) > 0 {
		return &MissingError{missing}
	}
	for _, e := range m {
		if !e.IsFile() {
			continue
		}
		if at, err := s.find(e.Digest); err != nil || at.size != e.Size {
			return fmt.Errorf("%q has %d bytes, not %d: %w", e.Path, at.size, e.Size, errors.Join(ErrMismatch, err))
		}
	}
	return nil
}

// Manifest returns a stored manifest.
func (s *Store) Manifest(d Digest) (Manifest, error) {
	content, err := os.ReadFile(s.manifestPath(d))
	if errors.Is(err, fs.ErrNotExist) {
		err = ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("read manifest %s: %w", d, err)
	}
	if DigestOf(content) != d {
		return nil, fmt.Errorf("read manifest %s: %w", d, ErrMismatch)
	}
	return DecodeManifest(content)
}

// sizesMost is how many trees' sizes are remembered.
const sizesMost = 256

// Size is how large a tree is.
type Size struct {
	Entries int   // files, links and empty folders
	Bytes   int64 // of all files together, uncompressed
}

func sizeOf(m Manifest) Size { return Size{Entries: len(m), Bytes: m.Bytes()} }

// remember keeps the size of a tree, which is asked for as soon as it is stored.
func (s *Store) remember(d Digest, m Manifest) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.sizes) >= sizesMost {
		clear(s.sizes)
	}
	s.sizes[d] = sizeOf(m)
}

// SizeOf returns how large a stored tree is. One that this process stored lately is not read again.
func (s *Store) SizeOf(d Digest) (Size, error) {
	s.mu.Lock()
	size, known := s.sizes[d]
	s.mu.Unlock()
	if known {
		if _, err := os.Stat(s.manifestPath(d)); err == nil { // it may have been swept
			return size, nil
		}
	}
	m, err := s.Manifest(d)
	if err != nil {
		return Size{}, err
	}
	s.remember(d, m)
	return sizeOf(m), nil
}

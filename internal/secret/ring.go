package secret

import (
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/towpath-cd/towpath/internal/durable"
)

// Ring is the keys of a file, which change while they are used. It is safe for concurrent use.
type Ring struct {
	path    string
	keys    atomic.Pointer[Keys]
	writing sync.Mutex
}

// OpenRing reads the keys of a file, which is made with one new key when it is missing.
func OpenRing(path string) (*Ring, error) {
	keys, err := LoadOrCreate(path)
	if err != nil {
		return nil, err
	}
	r := &Ring{path: path}
	r.keys.Store(&keys)
	return r, nil
}

// Seal encrypts with the newest key.
func (r *Ring) Seal(row string, plaintext []byte) ([]byte, error) {
	return r.keys.Load().Seal(row, plaintext)
}

// Open decrypts by whichever key it was sealed with.
func (r *Ring) Open(row string, sealed []byte) ([]byte, error) {
	return r.keys.Load().Open(row, sealed)
}

// IsCurrent says whether a value was sealed with the newest key.
func (r *Ring) IsCurrent(sealed []byte) bool { return r.keys.Load().IsCurrent(sealed) }

// Rotate adds a new key, durably, before anything is sealed with it.
func (r *Ring) Rotate() error {
	r.writing.Lock()
	defer r.writing.Unlock()
	keys, err := Rotate(r.path)
	if err == nil {
		r.keys.Store(&keys)
	}
	return err
}

// Forget drops every key but the newest: what was sealed with another, such as in an old backup, cannot be opened any more
// without a copy of the file. It answers how many were dropped.
func (r *Ring) Forget() (dropped int, err error) {
	r.writing.Lock()
	defer r.writing.Unlock()
	known := *r.keys.Load()
	newest := known[len(known)-1:]
	if err := durable.WriteFile(r.path, newest.encode()); err != nil {
		return 0, fmt.Errorf("write the key file: %w", err)
	}
	r.keys.Store(&newest)
	return len(known) - 1, nil
}

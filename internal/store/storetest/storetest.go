// Package storetest makes stores for tests.
package storetest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/towpath-cd/towpath/internal/store"
)

// Open opens an empty store at a path, where nothing is yet, until the test ends. Its schema is copied: to bring it up to date
// takes longer than most tests, and the store's own tests see to that.
func Open(t testing.TB, path string) *store.Store {
	t.Helper()
	content, err := empty()
	if err == nil {
		err = os.WriteFile(path, content, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(t.Context(), store.Options{Path: path, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close the store: %v", err)
		}
	})
	return s
}

// empty is a database whose schema is up to date, made once for all tests of a package.
var empty = sync.OnceValues(func() (content []byte, err error) {
	folder, err := os.MkdirTemp("", "towpath-empty-")
	if err != nil {
		return nil, fmt.Errorf("make a folder for the empty database: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	path := filepath.Join(folder, "towpath.db")
	s, err := store.Open(context.Background(), store.Options{Path: path, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, err
	}
	if err := s.Close(); err != nil { // all of it is in the one file then
		return nil, err
	}
	return os.ReadFile(path)
})

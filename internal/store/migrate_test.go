package store_test

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/store"
)

func TestADatabaseOfANewerVersionIsRefusedUntouched(t *testing.T) {
	path := filepath.Join(t.TempDir(), "towpath.db")
	if err := openAt(t, path).Close(); err != nil {
		t.Fatal(err)
	}
	if err := store.Pretend(t.Context(), path, 999); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	_, err = store.Open(t.Context(), store.Options{Path: path, Log: slog.New(slog.DiscardHandler)})
	if towpath.CodeOf(err) != towpath.CodeConflict {
		t.Fatalf("it was opened: %v", err)
	}
	after, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(before, after) {
		t.Errorf("it was changed (%v)", err)
	}
}

// A server that was killed between two migrations leaves a schema of some version; the next one goes on from there.
func TestAnUpgradeThatWasKilledHalfWayGoesOn(t *testing.T) {
	for version := int64(1); version < store.SchemaVersion(); version++ {
		path := filepath.Join(t.TempDir(), "towpath.db")
		if err := store.UpgradeTo(t.Context(), path, version); err != nil {
			t.Fatal(err)
		}
		s := openAt(t, path)
		withShop(t, s)
		view(t, s, func(tx *store.Tx) error {
			_, err := tx.Environments(store.EnvironmentFilter{})
			return err
		})
	}
}

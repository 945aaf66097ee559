package store_test

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/store"
	"github.com/towpath-cd/towpath/internal/store/storetest"
)

// noon is when these stories happen.
var noon = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

// open opens a new, empty store.
func open(t testing.TB) *store.Store {
	t.Helper()
	return storetest.Open(t, filepath.Join(t.TempDir(), "towpath.db"))
}

func openAt(t testing.TB, path string) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), store.Options{Path: path, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return s
}

func update(t testing.TB, s *store.Store, fn func(*store.Tx) error) {
	t.Helper()
	if err := s.Update(t.Context(), fn); err != nil {
		t.Fatal(err)
	}
}

func view(t testing.TB, s *store.Store, fn func(*store.Tx) error) {
	t.Helper()
	if err := s.View(t.Context(), fn); err != nil {
		t.Fatal(err)
	}
}

// withShop adds the project "shop" with a pipeline of its name.
func withShop(t testing.TB, s *store.Store) {
	t.Helper()
	update(t, s, func(tx *store.Tx) error {
		return errors.Join(
			tx.CreateProject(towpath.Project{ID: "p1", Name: "shop", URL: "https://git.example.com/shop", CreatedAt: noon}),
			tx.ClaimPipeline("shop", "p1"))
	})
}

func TestAnUpdateThatFailsLeavesNothingBehindAndTheOthersAlone(t *testing.T) {
	s := open(t)
	wrong := errors.New("changed my mind")
	var wait sync.WaitGroup
	for i := range 40 {
		wait.Go(func() {
			err := s.Update(t.Context(), func(tx *store.Tx) error {
				if err := tx.PutSetting(settingName(i), "set"); err != nil {
					return err
				}
				switch i % 4 {
				case 1:
					return wrong
				case 2:
					panic("a bug")
				}
				return nil
			})
			switch {
			case i%4 == 1 && !errors.Is(err, wrong):
				t.Errorf("update %d answered %v", i, err)
			case i%4 == 2 && (err == nil || !strings.Contains(err.Error(), "a bug")):
				t.Errorf("update %d answered %v", i, err)
			case i%2 == 0 && i%4 == 0 && err != nil:
				t.Errorf("update %d: %v", i, err)
			}
		})
	}
	wait.Wait()
	view(t, s, func(tx *store.Tx) error {
		for i := range 40 {
			value, err := tx.Setting(settingName(i))
			if err != nil {
				return err
			}
			if kept := value != ""; kept != (i%4 == 0 || i%4 == 3) {
				t.Errorf("setting %d kept: %t", i, kept)
			}
		}
		return nil
	})
}

func TestAPartOfAnUpdateThatFailsIsUndoneAlone(t *testing.T) {
	s := open(t)
	wrong := errors.New("changed my mind")
	update(t, s, func(tx *store.Tx) error {
		if err := tx.PutSetting("before", "set"); err != nil {
			return err
		}
		for name, fails := range map[string]error{"good": nil, "bad": wrong} {
			undone, err := tx.Try(func() error {
				if err := tx.PutSetting(name, "set"); err != nil {
					return err
				}
				return fails
			})
			if err != nil || !errors.Is(undone, fails) {
				t.Errorf("the %s part answered %v, %v", name, undone, err)
			}
		}
		return tx.PutSetting("after", "set")
	})
	view(t, s, func(tx *store.Tx) error {
		for name, want := range map[string]string{"before": "set", "good": "set", "bad": "", "after": "set"} {
			if value, err := tx.Setting(name); err != nil || value != want {
				t.Errorf("%s is %q, %v", name, value, err)
			}
		}
		return nil
	})
}

func settingName(i int) string { return "setting-" + string(rune('a'+i/26)) + string(rune('a'+i%26)) }

func TestAViewCannotChangeAnything(t *testing.T) {
	s := open(t)
	err := s.View(t.Context(), func(tx *store.Tx) error { return tx.PutSetting("a", "b") })
	if err == nil {
		t.Fatal("a view changed something")
	}
}

func TestAViewEndsWithItsContext(t *testing.T) {
	s := open(t)
	withShop(t, s)
	gone := errors.New("the client went away")
	for range 10 { // more often than there are connections: none of them is spoilt
		ctx, cancel := context.WithCancelCause(t.Context())
		err := s.View(ctx, func(tx *store.Tx) error {
			cancel(gone)
			_, err := tx.Projects()
			return err
		})
		if !errors.Is(err, gone) {
			t.Fatalf("the view answered %v", err)
		}
		if err := s.View(ctx, func(*store.Tx) error { return nil }); !errors.Is(err, gone) {
			t.Fatalf("the next view answered %v", err)
		}
	}
	view(t, s, func(tx *store.Tx) error {
		_, _, err := tx.ProjectByName("shop")
		return err
	})
}

func TestAViewThatPanicsSpoilsNoOther(t *testing.T) {
	s := open(t)
	for range 10 {
		func() {
			defer func() { _ = recover() }()
			_ = s.View(t.Context(), func(tx *store.Tx) error {
				_, _ = tx.Projects()
				panic("out of luck")
			})
		}()
	}
	withShop(t, s)
	view(t, s, func(tx *store.Tx) error {
		_, _, err := tx.ProjectByName("shop")
		return err
	})
}

func TestAnUpdateThatNobodyTookEndsWithItsContext(t *testing.T) {
	s := open(t)
	gone := errors.New("the client went away")
	ctx, cancel := context.WithCancelCause(t.Context())
	began, end := make(chan struct{}), make(chan struct{})
	var wait sync.WaitGroup
	wait.Go(func() {
		_ = s.Update(t.Context(), func(*store.Tx) error { close(began); <-end; return nil })
	})
	<-began
	cancel(gone)
	if err := s.Update(ctx, func(*store.Tx) error { return nil }); !errors.Is(err, gone) {
		t.Errorf("the update answered %v", err)
	}
	close(end)
	wait.Wait()
}

func TestAClosedStoreRefusesUpdates(t *testing.T) {
	s := open(t)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Update(t.Context(), func(*store.Tx) error { return nil }); !errors.Is(err, store.ErrClosed) {
		t.Errorf("the update answered %v", err)
	}
	if err := s.View(t.Context(), func(*store.Tx) error { return nil }); !errors.Is(err, store.ErrClosed) {
		t.Errorf("the view answered %v", err)
	}
}

func TestABackupIsTheWholeDatabase(t *testing.T) {
	s := open(t)
	withShop(t, s)
	path := filepath.Join(t.TempDir(), "backup.db")
	if err := s.Backup(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	view(t, openAt(t, path), func(tx *store.Tx) error {
		p, _, err := tx.ProjectByName("shop")
		if err == nil && p.ID != "p1" {
			t.Errorf("the backup has %+v", p)
		}
		return err
	})
}

func TestAFolderWithOddCharactersIsOpenedAsItIs(t *testing.T) {
	path := filepath.Join(t.TempDir(), "odd? #name %41.db")
	withShop(t, openAt(t, path))
	view(t, openAt(t, path), func(tx *store.Tx) error {
		_, _, err := tx.ProjectByName("shop")
		return err
	})
}

package store_test

import (
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/store"
)

func TestAFullDiskRefusesUpdatesLosesNothingAndEndsByItself(t *testing.T) {
	s := open(t)
	if err := s.LimitPages(200); err != nil {
		t.Fatal(err)
	}
	kept := fill(t, s)
	if !errors.Is(s.Unwritable(), store.ErrFull) {
		t.Error("the store does not say that it is full")
	}
	view(t, s, func(tx *store.Tx) error {
		for i := range kept {
			if value, err := tx.Setting(settingName(i)); value == "" {
				t.Errorf("setting %d was acknowledged and is lost (%v)", i, err)
			}
		}
		return nil
	})
	if err := s.LimitPages(2000); err != nil {
		t.Fatal(err)
	}
	update(t, s, func(tx *store.Tx) error { return tx.PutSetting("after", strings.Repeat("x", 10_000)) })
	if s.Unwritable() != nil {
		t.Error("the store still says that it is full")
	}
}

// fill puts large settings until the disk is full, and answers how many were acknowledged.
func fill(t *testing.T, s *store.Store) int {
	t.Helper()
	for i := range 26 * 26 {
		err := s.Update(t.Context(), func(tx *store.Tx) error {
			return tx.PutSetting(settingName(i), strings.Repeat("x", 10_000))
		})
		if errors.Is(err, store.ErrFull) {
			if towpath.CodeOf(err) != towpath.CodeUnavailable {
				t.Errorf("a full disk has the code %q", towpath.CodeOf(err))
			}
			return i
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	t.Fatal("the disk was never full")
	return 0
}

func TestUpdatesThatMeetAFullDiskTogetherAreAllTold(t *testing.T) {
	s := open(t)
	if err := s.LimitPages(200); err != nil {
		t.Fatal(err)
	}
	var acknowledged [200]atomic.Bool
	var wait sync.WaitGroup
	for i := range acknowledged {
		wait.Go(func() {
			err := s.Update(t.Context(), func(tx *store.Tx) error {
				return tx.PutSetting(settingName(i), strings.Repeat("x", 10_000))
			})
			acknowledged[i].Store(err == nil)
			if err != nil && !errors.Is(err, store.ErrFull) {
				t.Errorf("update %d: %v", i, err)
			}
		})
	}
	wait.Wait()
	view(t, s, func(tx *store.Tx) error {
		for i := range acknowledged {
			value, err := tx.Setting(settingName(i))
			if err != nil || acknowledged[i].Load() != (value != "") {
				t.Errorf("update %d: acknowledged %t, kept %t, %v", i, acknowledged[i].Load(), value != "", err)
			}
		}
		return nil
	})
}

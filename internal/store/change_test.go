package store_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/store"
)

func change(revision string) towpath.Change {
	return towpath.Change{Project: "p1", Branch: "main", Revision: revision, Trigger: towpath.TriggerPush, SeenAt: noon}
}

func TestAChangeIsRecordedOnceAndEndsInOneOutcome(t *testing.T) {
	s := open(t)
	withShop(t, s)
	record := func(revision, key string) (isNew bool) {
		update(t, s, func(tx *store.Tx) (err error) {
			isNew, err = tx.RecordChange(change(revision), key)
			return err
		})
		return isNew
	}
	if !record("a1", "") || record("a1", "") || !record("a1", "ada at noon") || !record("b2", "") {
		t.Error("changes are not told apart by revision and key")
	}
	var pending []store.RecordedChange
	view(t, s, func(tx *store.Tx) (err error) {
		pending, err = tx.PendingChanges(10)
		return err
	})
	if len(pending) != 3 || pending[0].Change.Revision != "a1" || pending[2].Change.Revision != "b2" {
		t.Fatalf("pending: %+v", pending)
	}
	first := pending[0]
	first.Outcome, first.Runs = store.ChangeRun, []string{"r1", "r2"}
	update(t, s, func(tx *store.Tx) error { return tx.SettleChange(first, noon) })
	stale(t, s, func(tx *store.Tx) error { return tx.SettleChange(first, noon) })
	view(t, s, func(tx *store.Tx) error {
		settled, err := tx.Changes(store.ChangeFilter{Outcomes: []store.ChangeOutcome{store.ChangeRun}})
		if len(settled) != 1 || !cmp.Equal(settled[0].Runs, first.Runs) || !settled[0].SettledAt.Equal(noon) {
			t.Errorf("settled: %+v", settled)
		}
		return err
	})
}

func TestWhatBecameOfAChangeWhoseProjectWasRemovedIsNotSaidOfAnothersChange(t *testing.T) {
	s := open(t)
	withShop(t, s)
	removed := change("a1")
	removed.Project = "p2"
	var pending []store.RecordedChange
	update(t, s, func(tx *store.Tx) error {
		err := tx.CreateProject(towpath.Project{ID: "p2", Name: "other"})
		_, recorded := tx.RecordChange(removed, "")
		return errors.Join(err, recorded)
	})
	view(t, s, func(tx *store.Tx) (err error) {
		pending, err = tx.PendingChanges(10)
		return err
	})
	update(t, s, func(tx *store.Tx) error { return tx.DeleteProject("p2") })
	update(t, s, func(tx *store.Tx) error {
		_, err := tx.RecordChange(change("b2"), "")
		return err
	})

	late := pending[0]
	late.Outcome, late.Reason = store.ChangeFailed, "it has no pipeline file"
	stale(t, s, func(tx *store.Tx) error { return tx.SettleChange(late, noon) })
	view(t, s, func(tx *store.Tx) (err error) {
		pending, err = tx.PendingChanges(10)
		if len(pending) != 1 || pending[0].Change.Revision != "b2" || pending[0].ID != late.ID {
			t.Errorf("pending: %+v", pending)
		}
		return err
	})
}

func TestTheLatestRevisionOfEachBranchIsKept(t *testing.T) {
	s := open(t)
	withShop(t, s)
	update(t, s, func(tx *store.Tx) error {
		return errors.Join(
			tx.SaveHead("p1", "main", "a1", noon), tx.SaveHead("p1", "gone", "c3", noon),
			tx.SaveHead("p1", "main", "b2", noon), tx.ForgetHead("p1", "gone"))
	})
	view(t, s, func(tx *store.Tx) error {
		heads, err := tx.Heads("p1")
		if diff := cmp.Diff(map[string]string{"main": "b2"}, heads); diff != "" {
			t.Errorf("heads (-want +got):\n%s", diff)
		}
		return err
	})
}

func TestAWorkerIsKnownByItsKeyAndItsNameIsItsOwn(t *testing.T) {
	s := open(t)
	w := towpath.Worker{ID: "w1", Name: "north", OS: "linux", Labels: []string{"big"}, SeenAt: noon}
	update(t, s, func(tx *store.Tx) error { return tx.RegisterWorker(w, "hash-1") })
	update(t, s, func(tx *store.Tx) error { return tx.RegisterWorker(w, "hash-2") })
	update(t, s, func(tx *store.Tx) error { return tx.DrainWorker("w1", true, "ada") })
	view(t, s, func(tx *store.Tx) error {
		if _, err := tx.WorkerByKey("hash-1"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("the old key answers %v", err)
		}
		got, err := tx.WorkerByKey("hash-2")
		if diff := cmp.Diff(store.KnownWorker{Worker: w, Draining: true, DrainedBy: "ada", Told: []string{"big"}, Added: []string{}, Removed: []string{}}, got); diff != "" {
			t.Errorf("the worker (-want +got):\n%s", diff)
		}
		return err
	})
	err := s.Update(t.Context(), func(tx *store.Tx) error {
		return tx.RegisterWorker(towpath.Worker{ID: "w2", Name: "north"}, "hash-3")
	})
	if !errors.Is(err, store.ErrExists) {
		t.Errorf("another worker of the same name answered %v", err)
	}
}

func TestLabelsThatAreGivenOrTakenStaySoWhateverTheWorkerSays(t *testing.T) {
	s := open(t)
	w := towpath.Worker{ID: "w1", Name: "north", Labels: []string{"big", "has=go"}, SeenAt: noon}
	update(t, s, func(tx *store.Tx) error { return tx.RegisterWorker(w, "hash-1") })
	update(t, s, func(tx *store.Tx) error { return tx.LabelWorker("w1", []string{"gpu"}, []string{"big"}) })
	w.Labels = []string{"big", "has=docker"}
	update(t, s, func(tx *store.Tx) error { return tx.DescribeWorker(w) })
	update(t, s, func(tx *store.Tx) error {
		if err := tx.SeeWorker("w1", noon.Add(-time.Hour)); err != nil { // the clock was set back
			return err
		}
		return tx.SeeWorker("gone", noon)
	})
	view(t, s, func(tx *store.Tx) error {
		got, err := tx.Worker("w1")
		if diff := cmp.Diff([]string{"gpu", "has=docker"}, got.Labels); diff != "" || !got.SeenAt.Equal(noon) {
			t.Errorf("seen at %s; labels (-want +got):\n%s", got.SeenAt, diff)
		}
		return err
	})
}

package store_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/store"
)

func TestAnEnvironmentIsSavedOnlyOnTheVersionThatWasLoaded(t *testing.T) {
	s := open(t)
	withShop(t, s)
	withProduction(t, s, func(e *towpath.Environment) { e.Live = release(1) })
	save := func(keeper string, version int) error {
		return s.Update(t.Context(), func(tx *store.Tx) error {
			e, _, err := tx.Environment("shop/production")
			if err != nil {
				return err
			}
			e.Keeper.Worker = keeper
			return tx.SaveEnvironment(e, version)
		})
	}
	if err := save("w1", 1); err != nil {
		t.Fatal(err)
	}
	if err := save("w2", 1); !errors.Is(err, store.ErrConflict) {
		t.Errorf("the second save answered %v", err)
	}
	view(t, s, func(tx *store.Tx) error {
		kept, err := tx.Environments(store.EnvironmentFilter{Keeper: "w1"})
		if len(kept) != 1 || kept[0].Live != release(1) {
			t.Errorf("kept by w1: %+v", kept)
		}
		return err
	})
}

func TestAnOlderObservationDoesNotReplaceANewerOne(t *testing.T) {
	s := open(t)
	withShop(t, s)
	withProduction(t, s, func(*towpath.Environment) {})
	view(t, s, func(tx *store.Tx) error {
		if _, seen, err := tx.Observation("shop/production"); seen || err != nil {
			t.Errorf("seen before anybody looked: %t, %v", seen, err)
		}
		return nil
	})
	newer := towpath.Observation{Address: "newer", At: noon.Add(time.Second)}
	for _, o := range []towpath.Observation{{Address: "old", At: noon}, newer, {Address: "late", At: noon}} {
		update(t, s, func(tx *store.Tx) error { return tx.SaveObservation("shop/production", o) })
	}
	view(t, s, func(tx *store.Tx) error {
		got, _, err := tx.Observation("shop/production")
		if diff := cmp.Diff(newer, got); diff != "" {
			t.Errorf("what was seen last (-want +got):\n%s", diff)
		}
		return err
	})
}

func TestADeploymentsEndStays(t *testing.T) {
	s := open(t)
	withShop(t, s)
	withProduction(t, s, func(*towpath.Environment) {})
	d := towpath.Deployment{
		ID: "d1", Environment: "shop/production", State: towpath.DeploymentLive, RequestedAt: noon, EndedAt: noon.Add(time.Minute),
	}
	late := d
	late.State, late.EndedAt = towpath.DeploymentRunning, time.Time{}
	for _, state := range []towpath.Deployment{late, d, late} {
		update(t, s, func(tx *store.Tx) error { return tx.RecordDeployment(state) })
	}
	view(t, s, func(tx *store.Tx) error {
		got, err := tx.Deployments(store.DeploymentFilter{Projects: []string{"p1"}, Environment: "shop/production"})
		if diff := cmp.Diff([]towpath.Deployment{d}, got); diff != "" {
			t.Errorf("its deployments (-want +got):\n%s", diff)
		}
		return err
	})
}

func TestApprovalsThatWaitTooLongAreFound(t *testing.T) {
	s := open(t)
	withQueued(t, s)
	a := towpath.Approval{
		ID: "r1/release", Project: "p1", Run: "r1", Step: "release", State: towpath.ApprovalWaiting,
		Count: 1, AskedAt: noon, ExpiresAt: noon.Add(time.Hour),
	}
	update(t, s, func(tx *store.Tx) error { return tx.CreateApproval(a) })
	expired := func(at time.Time) (n int) {
		view(t, s, func(tx *store.Tx) error {
			found, err := tx.ExpiredApprovals(at, 10)
			n = len(found)
			return err
		})
		return n
	}
	if expired(a.ExpiresAt.Add(-time.Second)) != 0 || expired(a.ExpiresAt) != 1 {
		t.Error("it expires at another time than it should")
	}
	update(t, s, func(tx *store.Tx) error {
		loaded, version, err := tx.Approval(a.ID)
		if err != nil {
			return err
		}
		return tx.SaveApproval(loaded.End(towpath.ApprovalExpired, a.ExpiresAt), version)
	})
	if expired(a.ExpiresAt) != 0 {
		t.Error("one that has ended is still found")
	}
}

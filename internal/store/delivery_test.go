package store_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/store"
)

func delivery(key string, at time.Time) store.StoredDelivery {
	return store.StoredDelivery{
		Delivery: towpath.Delivery{
			Project: "p1", Key: key, Event: "push", ArrivedAt: at, Size: 8192, Outcome: towpath.DeliveryPending,
		},
		Header: map[string][]string{"X-Forge-Event": {"push"}}, Body: []byte("packed"),
	}
}

// stores keeps deliveries, and says which of them are new.
func stores(t *testing.T, s *store.Store, deliveries ...store.StoredDelivery) (isNew []bool) {
	t.Helper()
	for _, d := range deliveries {
		update(t, s, func(tx *store.Tx) error {
			is, err := tx.StoreDelivery(d)
			isNew = append(isNew, is)
			return err
		})
	}
	return isNew
}

func TestADeliveryIsKeptOnceAndComesBackAsItArrived(t *testing.T) {
	s := open(t)
	withShop(t, s)
	if isNew := stores(t, s, delivery("id:1", noon), delivery("id:1", noon.Add(time.Hour)), delivery("id:2", noon)); !cmp.Equal(isNew, []bool{true, false, true}) {
		t.Errorf("new are %v", isNew)
	}
	view(t, s, func(tx *store.Tx) error {
		pending, err := tx.PendingDeliveries(0)
		want := []store.StoredDelivery{delivery("id:1", noon), delivery("id:2", noon)}
		want[0].ID, want[1].ID = 1, 2
		if diff := cmp.Diff(want, pending); diff != "" {
			t.Errorf("pending (-want +got):\n%s", diff)
		}
		return err
	})
}

func TestADeliveryIsSettledOnceAndReadAgainWhereSomebodySaysSo(t *testing.T) {
	s := open(t)
	withShop(t, s)
	stores(t, s, delivery("id:1", noon))
	settled := delivery("id:1", noon).Delivery
	settled.ID, settled.Outcome, settled.Reason, settled.SettledAt = 1, towpath.DeliveryIgnored, "the webhook works", noon.Add(time.Second)
	settle := func(tx *store.Tx) error { return tx.SettleDelivery(settled) }
	update(t, s, settle)
	stale(t, s, settle)
	view(t, s, func(tx *store.Tx) error {
		found, err := tx.Deliveries(store.DeliveryFilter{Project: "p1"})
		if diff := cmp.Diff([]towpath.Delivery{settled}, found); diff != "" {
			t.Errorf("settled (-want +got):\n%s", diff)
		}
		return err
	})
	update(t, s, func(tx *store.Tx) error { return tx.ReplayDelivery("p1", 1) })
	for project, id := range map[string]int{"p1": 1, "p2": 1} { // pending already, and another's
		err := s.Update(t.Context(), func(tx *store.Tx) error { return tx.ReplayDelivery(project, id) })
		if !errors.Is(err, store.ErrNotFound) {
			t.Errorf("to read it again answers %v", err)
		}
	}
	view(t, s, func(tx *store.Tx) error {
		pending, err := tx.PendingDeliveries(0)
		if len(pending) != 1 || pending[0].Replays != 1 || pending[0].Reason != "" {
			t.Errorf("pending is %+v", pending)
		}
		return err
	})
}

func TestOldDeliveriesAreForgottenUnlessNobodyHasReadThem(t *testing.T) {
	s := open(t)
	withShop(t, s)
	old, older, unread, young := delivery("1", noon), delivery("2", noon.Add(-time.Hour)), delivery("3", noon), delivery("4", noon.Add(time.Hour))
	for _, d := range []*store.StoredDelivery{&old, &older, &young} {
		d.Outcome = towpath.DeliveryIgnored
	}
	stores(t, s, old, older, unread, young)
	forget := func(want int) {
		update(t, s, func(tx *store.Tx) error {
			n, err := tx.ForgetDeliveries(noon.Add(time.Minute), 1)
			if n != want {
				t.Errorf("%d were forgotten, want %d", n, want)
			}
			return err
		})
	}
	forget(1)
	forget(1)
	forget(0)
	view(t, s, func(tx *store.Tx) error {
		left, err := tx.Deliveries(store.DeliveryFilter{Project: "p1"})
		if len(left) != 2 || left[0].Key != "4" || left[1].Key != "3" {
			t.Errorf("left are %+v", left)
		}
		page, _ := tx.Deliveries(store.DeliveryFilter{Project: "p1", Before: left[0].ID, Limit: 1})
		if len(page) != 1 || page[0].Key != "3" {
			t.Errorf("the second page is %+v", page)
		}
		return err
	})
}

func TestACredentialIsKeptForItsProjectAndGoesWithIt(t *testing.T) {
	s := open(t)
	withShop(t, s)
	put := func(name, sealed string) {
		update(t, s, func(tx *store.Tx) error {
			return tx.PutCredential(store.Credential{Project: "p1", Name: name, Sealed: []byte(sealed), SetAt: noon})
		})
	}
	put("token", "one")
	put("hook", "two")
	put("token", "three")
	view(t, s, func(tx *store.Tx) error {
		known, err := tx.Credentials("p1")
		want := []store.Credential{
			{Project: "p1", Name: "hook", Sealed: []byte("two"), SetAt: noon}, {Project: "p1", Name: "token", Sealed: []byte("three"), SetAt: noon},
		}
		if diff := cmp.Diff(want, known); diff != "" {
			t.Errorf("credentials (-want +got):\n%s", diff)
		}
		return err
	})
	update(t, s, func(tx *store.Tx) error { return tx.DeleteCredential("p1", "hook") })
	update(t, s, func(tx *store.Tx) error { return tx.DeleteProject("p1") })
	view(t, s, func(tx *store.Tx) error {
		if known, err := tx.Credentials("p1"); len(known) > 0 || err != nil {
			t.Errorf("left are %+v, %v", known, err)
		}
		return nil
	})
}

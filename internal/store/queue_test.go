package store_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/store"
)

// withQueued adds run r1 and queues the first attempt of its build.
func withQueued(t *testing.T, s *store.Store) store.QueuedStep {
	t.Helper()
	withShop(t, s)
	q := store.QueuedStep{
		Run: "r1", Step: "shop", Attempt: 1, Project: "p1", Kind: towpath.KindBuild,
		Selector: towpath.Selector{OS: "linux", Labels: []string{"big"}}, Trusted: true, ReadyAt: noon,
	}
	update(t, s, func(tx *store.Tx) error {
		if err := tx.CreateRun(run("r1", 1)); err != nil {
			return err
		}
		return tx.Enqueue(q)
	})
	return q
}

func lease(worker string, expires time.Time) towpath.Lease {
	return towpath.Lease{Run: "r1", Step: "shop", Attempt: 1, Worker: worker, Expires: expires, LogLimit: 256}
}

func TestAnAttemptIsLeasedToOneWorkerOnly(t *testing.T) {
	s := open(t)
	q := withQueued(t, s)
	update(t, s, func(tx *store.Tx) error {
		ready, err := tx.Ready(10)
		if diff := cmp.Diff([]store.QueuedStep{q}, ready); diff != "" {
			t.Errorf("what is ready (-want +got):\n%s", diff)
		}
		return err
	})
	update(t, s, func(tx *store.Tx) error { return tx.Lease(lease("w1", noon.Add(time.Minute)), noon) })
	stale(t, s, func(tx *store.Tx) error { return tx.Lease(lease("w2", noon.Add(time.Minute)), noon) })
	update(t, s, func(tx *store.Tx) error {
		ready, err := tx.Ready(10)
		if len(ready) != 0 {
			t.Errorf("a leased attempt is still ready: %+v", ready)
		}
		return err
	})
	stale(t, s, func(tx *store.Tx) error { return tx.Finish(lease("w2", noon)) })
	update(t, s, func(tx *store.Tx) error { return tx.Finish(lease("w1", noon)) })
	stale(t, s, func(tx *store.Tx) error { return tx.Finish(lease("w1", noon)) })
}

func TestMoreUrgentStepsComeFirstThenOlderOnes(t *testing.T) {
	s := open(t)
	q := withQueued(t, s)
	update(t, s, func(tx *store.Tx) error {
		for i, priority := range []int{0, 5} {
			next := q
			next.Attempt, next.Priority, next.ReadyAt = i+2, priority, noon.Add(time.Duration(i+1)*time.Second)
			if err := tx.Enqueue(next); err != nil {
				return err
			}
		}
		ready, err := tx.Ready(10)
		var got []int
		for _, r := range ready {
			got = append(got, r.Attempt)
		}
		if diff := cmp.Diff([]int{3, 1, 2}, got); diff != "" {
			t.Errorf("the order (-want +got):\n%s", diff)
		}
		return err
	})
}

func TestALeaseThatWasRenewedDoesNotExpire(t *testing.T) {
	s := open(t)
	withQueued(t, s)
	late := noon.Add(time.Minute)
	update(t, s, func(tx *store.Tx) error { return tx.Lease(lease("w1", late), noon) })
	update(t, s, func(tx *store.Tx) error {
		expired, err := tx.Expired(late, 10)
		if diff := cmp.Diff([]towpath.Lease{lease("w1", late)}, expired); diff != "" {
			t.Errorf("what expired (-want +got):\n%s", diff)
		}
		return err
	})
	update(t, s, func(tx *store.Tx) error {
		_, err := tx.Renew(lease("w1", late.Add(time.Minute)))
		return err
	})
	stale(t, s, func(tx *store.Tx) error { return tx.Expire(lease("w1", late), late) })
	update(t, s, func(tx *store.Tx) error { return tx.Expire(lease("w1", late), late.Add(time.Minute)) })
	stale(t, s, func(tx *store.Tx) error {
		_, err := tx.Renew(lease("w1", late.Add(time.Hour)))
		return err
	})
}

func TestTimeWithoutAServerDoesNotCountAgainstALease(t *testing.T) {
	s := open(t)
	withQueued(t, s)
	update(t, s, func(tx *store.Tx) error { return tx.Lease(lease("w1", noon.Add(15*time.Second)), noon) })
	update(t, s, func(tx *store.Tx) error { return tx.Beat(noon.Add(5 * time.Second)) })

	back := noon.Add(time.Hour)
	update(t, s, func(tx *store.Tx) error {
		last, err := tx.LastBeat()
		if err != nil {
			return err
		}
		return tx.ExtendLeases(back.Sub(last), back.Add(15*time.Second))
	})
	view(t, s, func(tx *store.Tx) error {
		held, err := tx.LeasesOf("w1")
		want := []towpath.Lease{lease("w1", back.Add(10*time.Second))}
		if diff := cmp.Diff(want, held); diff != "" {
			t.Errorf("the lease after the outage (-want +got):\n%s", diff)
		}
		return err
	})
}

func TestAWorkerLearnsWhenItRenewsThatItsStepShouldStop(t *testing.T) {
	s := open(t)
	withQueued(t, s)
	update(t, s, func(tx *store.Tx) error {
		held, err := tx.StopLease("r1", "shop", 1, "canceled by ada")
		if held {
			t.Error("a queued attempt counts as held")
		}
		return err
	})
	update(t, s, func(tx *store.Tx) error { return tx.Lease(lease("w1", noon.Add(time.Minute)), noon) })
	update(t, s, func(tx *store.Tx) error {
		if removed, err := tx.Dequeue("r1", "shop", 1); removed || err != nil {
			t.Errorf("a leased attempt was taken from the queue: %t, %v", removed, err)
		}
		if _, err := tx.StopLease("r1", "shop", 1, "canceled by ada"); err != nil {
			return err
		}
		_, err := tx.StopLease("r1", "shop", 1, "canceled by bob")
		return err
	})
	update(t, s, func(tx *store.Tx) error {
		reason, err := tx.Renew(lease("w1", noon.Add(2*time.Minute)))
		if reason != "canceled by ada" {
			t.Errorf("the worker is told %q", reason)
		}
		return err
	})
}

// stale runs an update that has to answer CodeStale.
func stale(t *testing.T, s *store.Store, fn func(*store.Tx) error) {
	t.Helper()
	if err := s.Update(t.Context(), fn); towpath.CodeOf(err) != towpath.CodeStale {
		t.Errorf("the update answered %v, which is not stale", err)
	}
}

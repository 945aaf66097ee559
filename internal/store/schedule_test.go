package store_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/store"
)

func TestSchedulesAreDueInTheOrderOfTheirTimes(t *testing.T) {
	s := open(t)
	withShop(t, s)
	at := func(minutes int) time.Time { return noon.Add(time.Duration(minutes) * time.Minute) }
	schedule := func(pipeline string, since, next time.Time) store.Schedule {
		return store.Schedule{Project: "p1", Pipeline: pipeline, When: towpath.Schedule{Cron: "0 3 * * *", Zone: "UTC"}, Since: since, Next: next}
	}
	late, soon, past, ahead, never := schedule("late", noon, at(60)), schedule("soon", noon, at(1)), schedule("past", noon, at(-5)),
		schedule("ahead", at(600), at(700)), schedule("never", at(600), time.Time{})
	update(t, s, func(tx *store.Tx) error {
		return errors.Join(tx.SaveSchedule(late), tx.SaveSchedule(soon), tx.SaveSchedule(past), tx.SaveSchedule(ahead), tx.SaveSchedule(never))
	})
	due := func(now time.Time) (names []string) {
		t.Helper()
		view(t, s, func(tx *store.Tx) error {
			found, err := tx.DueSchedules(now, now.Add(time.Hour), 10)
			for _, d := range found {
				names = append(names, d.Pipeline)
			}
			return err
		})
		return names
	}
	if diff := cmp.Diff([]string{"past", "soon", "ahead"}, due(at(1))); diff != "" { // one fired by a clock that was set back
		t.Errorf("due (-want +got):\n%s", diff)
	}
	soon.Since, soon.Next, soon.Turn = at(1), at(1000), 2
	update(t, s, func(tx *store.Tx) error { return errors.Join(tx.SaveSchedule(soon), tx.DeleteSchedule(past)) })
	if diff := cmp.Diff([]string{"late", "ahead"}, due(at(60))); diff != "" {
		t.Errorf("due (-want +got):\n%s", diff)
	}
	view(t, s, func(tx *store.Tx) error {
		if got, err := tx.Schedule(schedule("soon", noon, noon)); err != nil || got != soon {
			t.Errorf("it is kept as %+v, %v", got, err)
		}
		if _, err := tx.Schedule(past); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("one that was forgotten answers %v", err)
		}
		return nil
	})
	update(t, s, func(tx *store.Tx) error { return tx.DeleteProject("p1") })
	if names := due(at(10000)); len(names) > 0 {
		t.Errorf("of a project that was removed: %v", names)
	}
}

func TestFollowersAreFoundByWhatTheyFollow(t *testing.T) {
	s := open(t)
	withShop(t, s)
	docs, more := store.Follower{Project: "p1", Pipeline: "docs", After: "shop"}, store.Follower{Project: "p1", Pipeline: "more", After: "library"}
	update(t, s, func(tx *store.Tx) error {
		return errors.Join(tx.SaveFollower(docs), tx.SaveFollower(docs), tx.SaveFollower(more))
	})
	view(t, s, func(tx *store.Tx) error {
		after, err := tx.Followers("shop")
		all, err2 := tx.FollowersOf("p1")
		if !cmp.Equal(after, []store.Follower{docs}) || !cmp.Equal(all, []store.Follower{docs, more}) {
			t.Errorf("after shop %+v, in all %+v", after, all)
		}
		return errors.Join(err, err2)
	})
	update(t, s, func(tx *store.Tx) error { return tx.DeleteFollower(docs) })
	view(t, s, func(tx *store.Tx) error {
		after, err := tx.Followers("shop")
		if len(after) > 0 {
			t.Errorf("after shop %+v", after)
		}
		return err
	})
}

func TestAChangeThatIsHeldIsLetGoOnce(t *testing.T) {
	s := open(t)
	withShop(t, s)
	update(t, s, func(tx *store.Tx) error {
		_, err := tx.RecordChange(change("a1"), "")
		return err
	})
	var held store.RecordedChange
	update(t, s, func(tx *store.Tx) (err error) {
		if held, err = tx.RecordedChange(change("a1"), ""); err != nil {
			return err
		}
		held.Outcome, held.Reason = store.ChangeHeld, "it comes from a fork"
		return tx.SettleChange(held, noon)
	})
	allow := func(project string, id int) error {
		return s.Update(t.Context(), func(tx *store.Tx) error { return tx.AllowChange(project, id, "mira") })
	}
	for _, wrong := range []error{allow("p2", held.ID), allow("p1", held.ID+1)} {
		if towpath.CodeOf(wrong) != towpath.CodeConflict {
			t.Errorf("another change answers %v", wrong)
		}
	}
	if err := allow("p1", held.ID); err != nil {
		t.Fatal(err)
	}
	if err := allow("p1", held.ID); towpath.CodeOf(err) != towpath.CodeConflict {
		t.Errorf("a second go answers %v", err)
	}
	view(t, s, func(tx *store.Tx) error {
		pending, err := tx.PendingChanges(0)
		if len(pending) != 1 || pending[0].AllowedBy != "mira" || pending[0].Reason != "" || !pending[0].SettledAt.IsZero() {
			t.Errorf("pending are %+v", pending)
		}
		return err
	})
}

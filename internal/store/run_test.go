package store_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/store"
)

// run makes a run of shop with a build and a test, that has started.
func run(id string, number int) towpath.Run {
	pipeline := towpath.Pipeline{Name: "shop", Steps: []towpath.StepDefinition{
		{Name: "shop", Kind: towpath.KindBuild, When: towpath.WhenPassed, Script: &towpath.ScriptDefinition{Run: "make dist"}},
		{
			Name: "unit", Kind: towpath.KindTest, When: towpath.WhenPassed, Needs: []string{"shop"},
			Script: &towpath.ScriptDefinition{Run: "make test", Timeout: time.Minute},
		},
	}}
	change := towpath.Change{Project: "p1", Branch: "main", Revision: "cafe000", Trigger: towpath.TriggerPush, SeenAt: noon}
	r, _ := towpath.NewRun(id, "p1", number, pipeline, change).Next(
		towpath.RunStarted{At: noon.Add(time.Duration(number) * time.Minute)})
	return r
}

func TestARunIsSavedOnlyOnTheVersionThatWasLoaded(t *testing.T) {
	s := open(t)
	withShop(t, s)
	update(t, s, func(tx *store.Tx) error { return tx.CreateRun(run("r1", 1)) })

	var mine, theirs towpath.Run
	var version int
	view(t, s, func(tx *store.Tx) (err error) {
		mine, version, err = tx.Run("r1")
		theirs = mine
		return err
	})
	leased, _ := mine.Next(towpath.StepLeased{Step: "shop", Attempt: 1, Worker: "w1", At: noon})
	update(t, s, func(tx *store.Tx) error { return tx.SaveRun(leased, version) })
	canceled, _ := theirs.Next(towpath.CancelRequested{By: "ada", At: noon})
	err := s.Update(t.Context(), func(tx *store.Tx) error { return tx.SaveRun(canceled, version) })
	if !errors.Is(err, store.ErrConflict) {
		t.Errorf("the second save answered %v", err)
	}
	view(t, s, func(tx *store.Tx) error {
		got, _, err := tx.RunByNumber("shop", 1)
		if diff := cmp.Diff(leased, got); diff != "" {
			t.Errorf("the run that was stored (-saved +loaded):\n%s", diff)
		}
		return err
	})
}

func TestRunsAreNumberedFromOneInEachPipeline(t *testing.T) {
	s := open(t)
	withShop(t, s)
	update(t, s, func(tx *store.Tx) error { return tx.ClaimPipeline("jobs", "p1") })
	for _, want := range []struct {
		pipeline string
		number   int
	}{{"shop", 1}, {"shop", 2}, {"jobs", 1}, {"shop", 3}} {
		update(t, s, func(tx *store.Tx) error {
			got, err := tx.NextRunNumber(want.pipeline)
			if got != want.number {
				t.Errorf("%s got number %d, not %d", want.pipeline, got, want.number)
			}
			return err
		})
	}
	err := s.Update(t.Context(), func(tx *store.Tx) error {
		_, err := tx.NextRunNumber("nobody's")
		return err
	})
	if towpath.CodeOf(err) != towpath.CodeNotFound || !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a pipeline that nobody claimed answered %v", err)
	}
}

func TestAPipelineNameBelongsToTheProjectThatUsedItFirst(t *testing.T) {
	s := open(t)
	withShop(t, s)
	err := s.Update(t.Context(), func(tx *store.Tx) error {
		return errors.Join(tx.CreateProject(towpath.Project{ID: "p2", Name: "other"}), tx.ClaimPipeline("shop", "p2"))
	})
	if !errors.Is(err, store.ErrExists) {
		t.Errorf("the second claim answered %v", err)
	}
}

func TestRunsAreListedNewestFirstPageByPage(t *testing.T) {
	s := open(t)
	withShop(t, s)
	update(t, s, func(tx *store.Tx) error {
		return errors.Join(tx.CreateRun(run("r1", 1)), tx.CreateRun(run("r2", 2)), tx.CreateRun(run("r3", 3)))
	})
	for _, c := range []struct {
		name   string
		filter store.RunFilter
		want   []string
	}{
		{"everything", store.RunFilter{}, []string{"r3", "r2", "r1"}},
		{"the first page", store.RunFilter{Limit: 2}, []string{"r3", "r2"}},
		{"the next page", store.RunFilter{Limit: 2, Before: "r2"}, []string{"r1"}},
		{"no project", store.RunFilter{Projects: []string{}}, nil},
		{"one's own projects", store.RunFilter{Projects: []string{"p0", "p1"}}, []string{"r3", "r2", "r1"}},
		{"another pipeline", store.RunFilter{Pipeline: "jobs"}, nil},
		{"older ones of the branch", store.RunFilter{Pipeline: "shop", Branch: "main", Older: 3}, []string{"r2", "r1"}},
		{"failed ones", store.RunFilter{States: []towpath.RunState{towpath.RunFailed}}, nil},
	} {
		view(t, s, func(tx *store.Tx) error {
			runs, err := tx.Runs(c.filter)
			var got []string
			for _, r := range runs {
				got = append(got, r.ID)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.name, diff)
			}
			return err
		})
	}
}

func TestDeletingAProjectTakesItsRunsAlong(t *testing.T) {
	s := open(t)
	withShop(t, s)
	update(t, s, func(tx *store.Tx) error { return tx.CreateRun(run("r1", 1)) })
	update(t, s, func(tx *store.Tx) error { return tx.DeleteProject("p1") })
	view(t, s, func(tx *store.Tx) error {
		if _, _, err := tx.Run("r1"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("its run answers %v", err)
		}
		return nil
	})
}

func TestARunKnowsHowItsBranchEndedBefore(t *testing.T) {
	s := open(t)
	withShop(t, s)
	ended := func(number int, branch string, state towpath.RunState) towpath.Run {
		r := run(string(rune('a'+number)), number)
		r.Change.Branch, r.State = branch, state
		return r
	}
	last := ended(7, "main", towpath.RunRunning)
	for number, step := range []struct {
		before towpath.Run
		want   towpath.RunState
	}{
		{ended(1, "idea", towpath.RunFailed), ""},
		{ended(2, "main", towpath.RunPassed), towpath.RunPassed},
		{ended(3, "main", towpath.RunFailed), towpath.RunFailed},
		{ended(4, "main", towpath.RunCanceled), towpath.RunFailed},
		{ended(5, "main", towpath.RunRunning), towpath.RunFailed},
		{ended(8, "main", towpath.RunPassed), towpath.RunFailed}, // is a newer one
	} {
		update(t, s, func(tx *store.Tx) error { return tx.CreateRun(step.before) })
		view(t, s, func(tx *store.Tx) error {
			got, err := tx.StateBefore(last)
			if got != step.want {
				t.Errorf("after %d runs it is %q, want %q", number+1, got, step.want)
			}
			return err
		})
	}
	view(t, s, func(tx *store.Tx) error {
		id, err := tx.RunID("shop", 3)
		if _, missing := tx.RunID("shop", 99); id != "d" || !errors.Is(missing, store.ErrNotFound) {
			t.Errorf("run 3 is %q, run 99 %v", id, missing)
		}
		return err
	})
}

package flow_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/flow"
	"github.com/towpath-cd/towpath/internal/store"
)

// wantChange answers the newest change, and fails unless it ended so.
func (h *house) wantChange(outcome store.ChangeOutcome) store.RecordedChange {
	h.t.Helper()
	changes := h.changes()
	if len(changes) == 0 || changes[0].Outcome != outcome {
		h.t.Fatalf("the changes are %+v, want %s", changes, outcome)
	}
	return changes[0]
}

func TestABrokenPipelineFileEndsVisiblyWithAllItsProblems(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "pipeline: shop\nsteps:\n  - {build: shop, rum: make}\n  - {test: unit, run: make, needs: [shpo]}\n")
	h.poll()
	change := h.wantChange(store.ChangeFailed)
	for _, want := range []string{"rum", "shpo"} {
		if !strings.Contains(change.Reason, want) {
			t.Errorf("the reason does not tell of %s:\n%s", want, change.Reason)
		}
	}
	if len(h.runs()) > 0 {
		t.Errorf("it made runs: %+v", h.runs())
	}
}

func TestARepositoryWithoutAPipelineFileSaysSo(t *testing.T) {
	t.Parallel()
	h := newHouse(t, scripts)
	h.do(os.Rename(filepath.Join(h.dir, "towpath.yaml"), filepath.Join(h.dir, "other.yaml")))
	h.commit("Move the file away")
	h.poll()
	if change := h.wantChange(store.ChangeFailed); !strings.Contains(change.Reason, "no towpath.yaml") {
		t.Errorf("the reason is %q", change.Reason)
	}
}

func TestAPushThatTriggersNothingIsIgnoredWithAReason(t *testing.T) {
	t.Parallel()
	h := newHouse(t, scripts)
	h.poll()
	h.git("checkout", "-q", "-b", "idea")
	h.commit("Try something")
	h.poll()
	if change := h.wantChange(store.ChangeIgnored); !strings.Contains(change.Reason, "push to idea") {
		t.Errorf("the reason is %q", change.Reason)
	}
}

func TestOneCommitSeenTwiceMakesOneRun(t *testing.T) {
	t.Parallel()
	h := newHouse(t, scripts)
	h.poll()
	seen := h.changes()[0].Change
	h.update(func(tx *store.Tx) error { // by another way than polling
		isNew, err := tx.RecordChange(seen, "")
		if isNew {
			t.Error("the same push counts as new")
		}
		return err
	})
	h.poll()
	if runs := h.runs(); len(runs) != 1 {
		t.Errorf("%d runs of one commit", len(runs))
	}
}

func TestAWishMakesARunAtOnceAndLeavesNothingPending(t *testing.T) {
	t.Parallel()
	h := newHouse(t, shop)
	tip := h.git("rev-parse", "HEAD")
	runs := good(h.start(flow.Wish{}))(t)
	if len(runs) != 1 || runs[0].Change.Revision != tip || runs[0].Change.By != "bob" || !runs[0].Change.Trusted {
		t.Fatalf("the runs are %+v", runs)
	}
	h.take()
	if all := h.runs(); len(all) != 1 {
		t.Errorf("one wish made %d runs", len(all))
	}
	if change := h.wantChange(store.ChangeRun); change.Runs[0] != runs[0].ID {
		t.Errorf("the change became %v", change.Runs)
	}
}

func TestARunOfScriptsOnlyNeverReachesAGate(t *testing.T) {
	t.Parallel()
	h := newHouse(t, shop)
	m := h.newMachine("worker")
	runs := good(h.start(flow.Wish{Scripts: true}))(t)
	h.take()
	m.passes("shop", tree("shop", "aa"))
	m.passes("unit")
	h.wantStep(runs[0].ID, "staging", towpath.StepSkipped)
	h.wantStep(runs[0].ID, "production", towpath.StepSkipped)
	h.wantRun(runs[0].ID, towpath.RunPassed)
}

func TestAWishThatCannotBeSaysWhyAndWhatToDo(t *testing.T) {
	t.Parallel()
	h := newHouse(t, scripts)
	h.git("checkout", "-q", "-b", "idea")
	foreign := h.commit("Read all secrets")
	h.git("checkout", "-q", "-b", "automatic", "main")
	h.write("towpath.yaml", "pipeline: shop\nsteps: [{build: shop, run: make}]\non: {push: {}, manual: false}\n")
	h.commit("Only by push")
	h.git("checkout", "-q", "-b", "two", "main")
	h.write(".towpath/docs.yaml", "steps: [{build: docs, run: make}]\non: {manual: true}\n")
	h.commit("A second pipeline")
	for name, c := range map[string]struct {
		wish flow.Wish
		code towpath.Code
		says string
	}{
		"no such branch":             {flow.Wish{Branch: "mian"}, towpath.CodeNotFound, `no branch "mian"`},
		"a commit of another branch": {flow.Wish{Revision: foreign}, towpath.CodeInvalid, "does not hold"},
		"a short hash":               {flow.Wish{Revision: "1234567"}, towpath.CodeInvalid, "full hash"},
		"not by hand":                {flow.Wish{Branch: "automatic"}, towpath.CodeConflict, "manual: true"},
		"two pipelines":              {flow.Wish{Branch: "two"}, towpath.CodeInvalid, "2 pipelines: docs, shop (name one)"},
		"no such pipeline":           {flow.Wish{Branch: "two", Pipeline: "dosc"}, towpath.CodeNotFound, `no pipeline "dosc"`},
	} {
		_, err := h.start(c.wish)
		wantCode(t, err, c.code)
		if err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: it says %v", name, err)
		}
	}
	if runs := good(h.start(flow.Wish{Branch: "two", Pipeline: "docs"}))(t); runs[0].Pipeline != "docs" || runs[0].Change.Trusted {
		t.Errorf("the run is %+v", runs[0])
	}
	if runs := good(h.start(flow.Wish{Branch: "idea", Revision: foreign}))(t); runs[0].Change.Trusted {
		t.Error("a commit of a branch that is not protected is trusted")
	}
}

func TestAPausedProjectStartsNothing(t *testing.T) {
	t.Parallel()
	h := newHouse(t, scripts)
	h.update(func(tx *store.Tx) error {
		p, version, err := tx.Project(h.project.ID)
		if err != nil {
			return err
		}
		p.Paused = true
		return tx.SaveProject(p, version)
	})
	_, err := h.start(flow.Wish{})
	wantCode(t, err, towpath.CodeConflict)
}

func TestAnUnreachableRepositoryWaitsAndHoldsUpNobodyElse(t *testing.T) {
	t.Parallel()
	h := newHouse(t, scripts)
	var asked atomic.Int32
	forge := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		http.Error(w, "try later", http.StatusServiceUnavailable)
	}))
	t.Cleanup(forge.Close)
	away := towpath.Project{ID: "away", Name: "away", URL: forge.URL + "/away.git", DefaultBranch: "main"}
	h.update(func(tx *store.Tx) error {
		if err := tx.CreateProject(away); err != nil {
			return err
		}
		for _, digit := range "0123456789abcdef01234" { // more than one round looks at
			revision := strings.Repeat(string(digit), 40)
			change := towpath.Change{Project: "away", Branch: "b" + revision, Revision: revision, Trigger: towpath.TriggerPush}
			if _, err := tx.RecordChange(change, ""); err != nil {
				return err
			}
		}
		return nil
	})
	h.poll()
	if runs := h.runs(); len(runs) != 1 || runs[0].Project != "shop" {
		t.Fatalf("the runs are %+v", runs)
	}
	first := asked.Load()
	h.take() // at once: nothing is asked
	if asked.Load() != first || first == 0 {
		t.Errorf("the repository was asked %d times, then %d", first, asked.Load())
	}
	h.clock.pass(time.Minute)
	h.take()
	if asked.Load() == first {
		t.Error("it is not asked again")
	}
	for _, change := range h.changes() {
		if change.Change.Project == "away" && change.Outcome != store.ChangePending {
			t.Errorf("a change ended as %s: %s", change.Outcome, change.Reason)
		}
	}

	_, err := h.StartRun(t.Context(), flow.Wish{Project: "away", Record: unrecorded})
	wantCode(t, err, towpath.CodeUnavailable)
}

func TestAPipelineNameBelongsToTheProjectThatUsedItFirst(t *testing.T) {
	t.Parallel()
	h := newHouse(t, scripts)
	h.poll()
	first := h.project
	h.dir = filepath.Join(t.TempDir(), "thief")
	h.project = h.addProject("thief", h.dir)
	h.git("init", "-q", "-b", "main")
	h.write("towpath.yaml", scripts)
	h.commit("Take their pipeline")
	h.poll()
	if change := h.wantChange(store.ChangeFailed); !strings.Contains(change.Reason, "pipeline shop in another project") {
		t.Errorf("the reason is %q", change.Reason)
	}
	if runs := h.runs(); len(runs) != 1 || runs[0].Project != first.ID {
		t.Errorf("the runs are %+v", runs)
	}
}

func TestAClosedStoreEndsTheRoundWithoutARushOfOthers(t *testing.T) {
	t.Parallel()
	h := newHouse(t, scripts)
	h.do(h.poller.Poll(t.Context(), h.project))
	h.do(h.store.Close())
	more, err := h.TakeChanges(t.Context())
	if more || err == nil {
		t.Errorf("more %t, %v", more, err)
	}
}

package flow_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/flow"
	"github.com/towpath-cd/towpath/internal/store"
)

// again is a person's wish for a repetition.
func again(run string, what towpath.Again) flow.Repeat {
	return flow.Repeat{Run: run, Again: what, By: "mira", Record: func(*store.Tx, towpath.Run) error { return nil }}
}

// fails runs a step that fails.
func (m *machine) fails(step string) {
	m.t.Helper()
	m.do(m.report(m.take(step), towpath.AttemptFailed))
}

func TestWhatFailedRunsAgainOnTheBytesThatWereBuilt(t *testing.T) {
	t.Parallel()
	h := newHouse(t, shop)
	h.person("mira", "release-managers")
	m := h.newMachine("worker")
	run := h.push("One")
	m.passes("shop", tree("shop", "aa"))
	m.fails("unit")
	h.write("towpath.yaml", strings.Replace(shop, "make test", "make other", 1))
	h.push("Two") // the file has changed since; the plan is the run's own
	h.cancels(h.runs()[0].ID)

	made := good(h.Rerun(t.Context(), again(run, towpath.Again{Failed: true})))(t)
	h.settle()
	work := m.take("unit")
	if work.Lease.Run != made.ID || work.Step.Script.Run != "make test" {
		t.Fatalf("what runs is %q of %s", work.Step.Script.Run, work.Lease.Run)
	}
	if diff := cmp.Diff([]towpath.Artifact{{Step: "shop", Digest: "sha256:aa", Path: "dist/", Platform: "linux/amd64", Files: 1, Size: 10}}, work.Uses); diff != "" {
		t.Errorf("it uses (-want +got):\n%s", diff)
	}
	h.view(func(tx *store.Tx) error {
		kept, err := tx.Artifacts(made.ID)
		if len(kept) != 1 {
			t.Errorf("the repetition keeps %+v", kept)
		}
		return err
	})
	h.do(m.report(work, towpath.AttemptPassed))
	m.reaches("shop/staging")
	h.approve(made.ID, "release", "mira")
	m.reaches("shop/production")
	h.wantRun(made.ID, towpath.RunPassed)
	if releases := h.releases(); len(releases) != 1 || releases[0].Change != h.run(run).Number || releases[0].Run != made.ID {
		t.Errorf("the releases are %+v, want one of the first run's change", releases)
	}
}

func TestARepetitionDoesNotReplaceANewerRelease(t *testing.T) {
	t.Parallel()
	h := newHouse(t, straight("staging", ""))
	m := h.newMachine("worker")
	first, _ := h.deploys(m, "aa", "staging")
	m.reaches("shop/staging")
	h.deploys(m, "bb", "staging")
	m.reaches("shop/staging")
	made := good(h.Rerun(t.Context(), again(first, towpath.Again{})))(t)
	m.passes("shop", tree("shop", "aa"))
	if step := h.wantStep(made.ID, "staging", towpath.StepFailed); !strings.Contains(step.Reason, "is of an older change than release 2") {
		t.Errorf("the step failed because %q", step.Reason)
	}
}

func TestARepetitionThatNeedsForgottenArtifactsSaysWhich(t *testing.T) {
	t.Parallel()
	h := newHouse(t, shop)
	m := h.newMachine("worker")
	run := h.push("One")
	m.passes("shop", tree("shop", "aa"))
	m.fails("unit")
	h.clock.pass(48 * time.Hour)
	good(h.Retain(t.Context()))(t)
	_, err := h.Rerun(t.Context(), again(run, towpath.Again{Failed: true}))
	wantCode(t, err, towpath.CodeConflict)
	if !strings.Contains(err.Error(), "dist/ of shop is needed, and is not kept any more") {
		t.Errorf("it says %q", err)
	}
	made := good(h.Rerun(t.Context(), again(run, towpath.Again{From: "shop"})))(t)
	h.wantStep(made.ID, "shop", towpath.StepQueued)
}

func TestARepetitionByANewPlanReadsTheFileAgain(t *testing.T) {
	t.Parallel()
	h := newHouse(t, queued)
	m := h.newMachine("worker")
	run := h.push("One")
	m.passes("shop")
	m.fails("unit")
	wish := again(run, towpath.Again{From: "unit"})
	wish.NewPlan = true
	made := good(h.Rerun(t.Context(), wish))(t)
	h.settle()
	h.wantStep(made.ID, "shop", towpath.StepPassed)
	if r := h.run(made.ID); r.Change.Revision != h.run(run).Change.Revision || r.Repeats.By != "mira" {
		t.Errorf("it repeats %+v at %s", r.Repeats, r.Change.Short())
	}
	m.passes("unit")
	h.wantRun(made.ID, towpath.RunPassed)
}

func TestARepetitionIsRefusedWherePolicyWouldBarItsDeployment(t *testing.T) {
	t.Parallel()
	h := newHouse(t, straight("production", ""))
	m := h.newMachine("worker")
	h.poll()
	h.cancels(h.runs()[0].ID)
	h.git("checkout", "-q", "-b", "idea")
	run, step := h.deploys(m, "aa", "production")
	if step.State != towpath.StepFailed {
		t.Fatalf("the deployment is %s", step.State)
	}
	_, err := h.Rerun(t.Context(), again(run, towpath.Again{Failed: true}))
	wantCode(t, err, towpath.CodeForbidden)
	made := good(h.Rerun(t.Context(), again(run, towpath.Again{Step: "shop"})))(t)
	m.passes("shop", tree("shop", "bb"))
	h.wantStep(made.ID, "production", towpath.StepSkipped)
	h.wantRun(made.ID, towpath.RunPassed)
}

func TestAForksRunIsRepeatedByAMaintainerOnly(t *testing.T) {
	t.Parallel()
	h := newHouse(t, strings.Replace(queued, `on: {push: {branches: ["**"]}, manual: true}`, "on: {pull_request: true}", 1))
	h.setProject(func(p *towpath.Project) { p.Forks = towpath.ForksRun })
	h.proposes(h.commitAside("refs/pull/7/head", "Better"), "main", true)
	h.settle()
	run := h.runs()[0].ID
	h.cancels(run)
	h.setProject(func(p *towpath.Project) { p.Forks = towpath.ForksAsk })
	wish := again(run, towpath.Again{})
	_, err := h.Rerun(t.Context(), wish)
	wantCode(t, err, towpath.CodeForbidden)
	wish.AllowForks = true
	good(h.Rerun(t.Context(), wish))(t)
}

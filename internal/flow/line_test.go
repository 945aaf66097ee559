package flow_test

import (
	"testing"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/flow"
	"github.com/towpath-cd/towpath/internal/store"
)

// queued is a pipeline whose runs go one after the other.
const queued = `pipeline: shop
on: {push: {branches: ["**"]}, manual: true}
concurrency: queue
steps:
  - {build: shop, run: make}
  - {test: unit, run: make test}
`

// cancels stops a run.
func (h *house) cancels(run string) {
	h.t.Helper()
	good(h.Cancel(h.t.Context(), run, flow.Act{By: "mira", Record: unrecorded}))(h.t)
	h.settle()
}

// wantWaiting fails where a run does not wait for that other one.
func (h *house) wantWaiting(run, before string) {
	h.t.Helper()
	if r := h.wantRun(run, towpath.RunWaiting); r.WaitsFor != h.run(before).Number {
		h.t.Fatalf("run %d waits for run %d, want %d", r.Number, r.WaitsFor, h.run(before).Number)
	}
}

func TestRunsOfALineGoOneAfterTheOther(t *testing.T) {
	t.Parallel()
	h := newHouse(t, queued)
	m := h.newMachine("worker")
	first, second, third := h.push("One"), h.push("Two"), h.push("Three")
	h.git("checkout", "-q", "-b", "idea")
	aside := h.push("Aside")
	h.wantWaiting(second, first)
	h.wantWaiting(third, second)
	h.wantRun(aside, towpath.RunRunning) // a line of its own

	h.cancels(second)
	h.wantWaiting(third, first)
	for m.lease() != nil { // the builds of both lines
	}
	h.cancels(first)
	h.wantRun(first, towpath.RunRunning) // its build is still ending
	h.wantWaiting(third, first)
	h.do(m.ReportStep(t.Context(), towpath.Lease{Run: first, Step: "shop", Attempt: 1, Worker: "worker"},
		towpath.StepReported{State: towpath.AttemptCanceled, Reason: "canceled"}, store.Log{}))
	h.settle()
	h.wantRun(third, towpath.RunRunning)
	h.wantStep(third, "shop", towpath.StepQueued)
}

func TestTheNextRunBeginsThoughTheServerDiedAsTheFirstEnded(t *testing.T) {
	t.Parallel()
	h := newHouse(t, queued)
	m := h.newMachine("worker")
	first, second := h.push("One"), h.push("Two")
	m.passes("shop")
	work := m.take("unit")
	h.do(h.ReportStep(t.Context(), work.Lease, towpath.StepReported{State: towpath.AttemptPassed}, store.Log{}))
	h.wantRun(first, towpath.RunPassed)
	h.wantWaiting(second, first) // nobody has carried out what the end of the first asks for

	h.do(h.store.Close())
	h.open(h.path)
	h.options.Store = h.store
	h.Conductor = flow.New(h.options)
	h.pass(time.Second)
	h.settle()
	h.wantRun(second, towpath.RunRunning)
	m.house = h
	m.passes("shop")
}

func TestAQueuedRunIsSupersededOnceItsFileSaysSo(t *testing.T) {
	t.Parallel()
	h := newHouse(t, queued)
	first := h.push("One")
	waiting := h.push("Two")
	h.write("towpath.yaml", `pipeline: shop
on: {push: {branches: ["**"]}}
steps:
  - {approve: go, by: mira}
  - {run: tell, script: ./tell.sh}
`)
	newest := h.push("Three")
	h.wantStep(newest, "go", towpath.StepWaiting)
	h.wantRun(waiting, towpath.RunSuperseded)
	h.wantRun(first, towpath.RunSuperseded)
}

// builds runs the build of a run, and leaves what follows undone.
func (m *machine) builds(digest string) {
	m.t.Helper()
	work := m.take("shop")
	m.do(m.ReportStep(m.t.Context(), work.Lease, towpath.StepReported{
		State: towpath.AttemptPassed, Artifacts: []towpath.Artifact{tree("shop", digest)},
	}, store.Log{}))
}

func TestARunCanceledAsItsDeploymentBeginsEndsWithTheDeployment(t *testing.T) {
	t.Parallel()
	h := newHouse(t, straight("staging", ""))
	m := h.newMachine("worker")
	run := h.push("One")
	m.builds("aa")
	h.do(h.CarryOut(t.Context(), towpath.RequestDeployment{Run: run, Step: "staging"})) // the run does not know that it began
	h.wantStep(run, "staging", towpath.StepWaiting)
	h.cancels(run)
	h.wantStep(run, "staging", towpath.StepRunning)
	m.reaches("shop/staging")
	h.wantStep(run, "staging", towpath.StepPassed)
	h.wantRun(run, towpath.RunCanceled)
	if live := h.environment("shop/staging").Live; live.Number != 1 {
		t.Errorf("release %d is live", live.Number)
	}
}

func TestARunCanceledBeforeItsEnvironmentIsAskedDeploysNothing(t *testing.T) {
	t.Parallel()
	h := newHouse(t, straight("staging", ""))
	m := h.newMachine("worker")
	run := h.push("One")
	m.builds("aa")
	h.cancels(run)
	h.wantStep(run, "staging", towpath.StepCanceled)
	h.wantRun(run, towpath.RunCanceled)
	if made := h.releases(); len(made) > 0 {
		t.Errorf("releases were made: %+v", made)
	}
}

func TestARunCanceledInTheQueueOfItsEnvironmentIsTakenOut(t *testing.T) {
	t.Parallel()
	h := newHouse(t, straight("staging", ""))
	m := h.newMachine("worker")
	first, _ := h.deploys(m, "aa", "staging")
	second, step := h.deploys(m, "bb", "staging")
	if step.State != towpath.StepWaiting {
		t.Fatalf("the second deployment is %s", step.State)
	}
	h.cancels(second)
	h.wantStep(second, "staging", towpath.StepCanceled)
	h.wantRun(second, towpath.RunCanceled)
	m.reaches("shop/staging")
	h.wantRun(first, towpath.RunPassed)
}

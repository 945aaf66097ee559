package flow_test

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/flow"
	"github.com/towpath-cd/towpath/internal/queue"
	"github.com/towpath-cd/towpath/internal/store"
)

// scripts is a pipeline of scripts only.
const scripts = "pipeline: shop\non: {push: {}, manual: true}\nsteps:\n  - {build: shop, run: make}\n  - {run: publish, script: make publish}\n"

func TestAWorkerThatIsNotHeardOfLosesItsStepAndABuildRunsAgain(t *testing.T) {
	t.Parallel()
	h := newHouse(t, scripts)
	m := h.newMachine("worker")
	run := h.push("Sell more tea")
	lost := m.take("shop")
	h.pass(queue.LeaseTime - time.Second)
	h.wantStep(run, "shop", towpath.StepRunning)
	h.pass(2 * time.Second)
	if step := h.wantStep(run, "shop", towpath.StepQueued); step.Attempt() != 2 || step.Attempts[0].State != towpath.AttemptLost {
		t.Fatalf("the attempts are %+v", step.Attempts)
	}
	wantCode(t, m.report(lost, towpath.AttemptPassed), towpath.CodeStale)
	_, _, err := h.RenewStep(t.Context(), lost.Lease)
	wantCode(t, err, towpath.CodeStale)

	m.passes("shop")
	m.take("publish")
	h.pass(queue.LeaseTime + time.Second)
	if step := h.wantStep(run, "publish", towpath.StepFailed); !strings.Contains(step.Reason, "not heard of") {
		t.Errorf("a step that must not run twice failed because %q", step.Reason)
	}
}

func TestALeaseThatIsRenewedLasts(t *testing.T) {
	t.Parallel()
	h := newHouse(t, scripts)
	m := h.newMachine("worker")
	run := h.push("Sell more tea")
	work := m.take("shop")
	for range 10 {
		h.pass(queue.RenewEvery)
		expires, stop, err := h.RenewStep(t.Context(), work.Lease)
		if err != nil || stop != "" || !expires.Equal(h.clock.Now().Add(queue.LeaseTime)) {
			t.Fatalf("renewed until %s, stop %q, %v", expires, stop, err)
		}
	}
	h.wantStep(run, "shop", towpath.StepRunning)
}

func TestALeaseOfAnotherWorkerOrOfAForgottenRunIsStale(t *testing.T) {
	t.Parallel()
	h := newHouse(t, scripts)
	m := h.newMachine("worker")
	run := h.push("Sell more tea")
	work := m.take("shop")
	foreign := work.Lease
	foreign.Worker = "another"
	_, _, err := h.RenewStep(t.Context(), foreign)
	wantCode(t, err, towpath.CodeStale)
	wantCode(t, h.ReportStep(t.Context(), foreign, towpath.StepReported{State: towpath.AttemptPassed}, store.Log{}), towpath.CodeStale)

	h.update(func(tx *store.Tx) error { return tx.ForgetRun(run) })
	_, _, err = h.RenewStep(t.Context(), work.Lease)
	wantCode(t, err, towpath.CodeStale)
	wantCode(t, m.report(work, towpath.AttemptPassed), towpath.CodeNotFound)
}

func TestAReportThatComesTwiceIsTakenOnce(t *testing.T) {
	t.Parallel()
	h := newHouse(t, scripts)
	m := h.newMachine("worker")
	run := h.push("Sell more tea")
	work := m.take("shop")
	h.do(m.report(work, towpath.AttemptPassed))
	before := h.run(run)
	h.do(m.report(work, towpath.AttemptPassed))
	if after := h.run(run); !reflect.DeepEqual(after, before) {
		t.Errorf("the run changed from %+v to %+v", before, after)
	}
	wantCode(t, m.report(work, towpath.AttemptFailed), towpath.CodeStale)
}

func TestACanceledStepIsToldWhenItsWorkerRenews(t *testing.T) {
	t.Parallel()
	h := newHouse(t, scripts)
	m := h.newMachine("worker")
	run := h.push("Sell more tea")
	work := m.take("shop")
	good(h.Cancel(t.Context(), run, flow.Act{By: "bob", Record: unrecorded}))(t)
	_, stop, err := h.RenewStep(t.Context(), work.Lease)
	if err != nil || stop != "canceled by bob" {
		t.Fatalf("stop is %q, %v", stop, err)
	}
	h.wantRun(run, towpath.RunRunning) // until the step has ended
	h.do(m.report(work, towpath.AttemptCanceled))
	h.wantRun(run, towpath.RunCanceled)
}

func TestTimeWithoutAServerDoesNotCountForLeases(t *testing.T) {
	t.Parallel()
	h := newHouse(t, scripts)
	m := h.newMachine("worker")
	run := h.push("Sell more tea")
	work := m.take("shop")
	h.pass(4 * time.Second)
	h.clock.pass(10 * time.Minute) // the server was stopped
	h.Conductor = flow.New(h.options)
	h.do(h.Resume(t.Context()))
	h.pass(4 * time.Second)
	h.wantStep(run, "shop", towpath.StepRunning)
	if _, _, err := h.RenewStep(t.Context(), work.Lease); err != nil {
		t.Fatal(err)
	}

	h.clock.pass(time.Hour) // the machine slept
	h.pass(4 * time.Second)
	h.wantStep(run, "shop", towpath.StepRunning)
	h.pass(queue.LeaseTime)
	h.wantStep(run, "shop", towpath.StepQueued)
}

func TestAnIdleServerWritesItsHeartbeatRarely(t *testing.T) {
	t.Parallel()
	h := newHouse(t, scripts)
	beats := map[time.Time]bool{}
	for range 60 {
		h.pass(time.Second)
		h.view(func(tx *store.Tx) error {
			last, err := tx.LastBeat()
			beats[last] = true
			return err
		})
	}
	if len(beats) < 20 || len(beats) > 21 {
		t.Errorf("%d beats in a minute, want one each 3 s", len(beats))
	}
}

func TestAWaitingWorkerIsWokenByAPush(t *testing.T) {
	t.Parallel()
	h := newHouse(t, scripts)
	m := h.newMachine("worker")
	leased := make(chan *flow.Work)
	go func() {
		work, err := h.LeaseStep(t.Context(), flow.StepCall{Worker: m.worker}, time.Minute)
		if err != nil {
			t.Error(err)
		}
		leased <- work
	}()
	h.push("Sell more tea")
	select {
	case work := <-leased:
		if work == nil || work.Step.Name != "shop" {
			t.Errorf("leased %+v", work)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("the worker was not woken")
	}
}

func TestWhatNobodyCanRunDoesNotHideWhatIsBehindIt(t *testing.T) {
	t.Parallel()
	h := newHouse(t, `pipeline: shop
on: {push: {}, manual: true}
steps:
  - {build: mac, run: make, worker: {os: darwin}}
  - {build: shop, run: make, needs: []}
`)
	h.push("Sell more tea")
	h.update(func(tx *store.Tx) error { // as many as 300 pushes would leave
		run := h.runs()[0]
		for i := range 300 {
			q := store.QueuedStep{
				Run: run.ID, Step: fmt.Sprintf("other %d", i), Attempt: 1, Project: run.Project, Kind: towpath.KindBuild,
				Selector: towpath.Selector{OS: "darwin"}, Priority: 1,
			}
			if err := tx.Enqueue(q); err != nil {
				return err
			}
		}
		return nil
	})
	h.newMachine("worker").take("shop")
}

func TestAnAttemptThatDoesNotFitItsRunBlocksNobody(t *testing.T) {
	t.Parallel()
	h := newHouse(t, scripts)
	run := h.push("Sell more tea")
	h.update(func(tx *store.Tx) error {
		return tx.Enqueue(store.QueuedStep{Run: run, Step: "publish", Attempt: 7, Project: h.project.ID, Kind: towpath.KindRun, Priority: 1})
	})
	h.newMachine("worker").take("shop")
}

func TestAStartedConductorDoesAllOfItByItself(t *testing.T) {
	t.Parallel()
	h := newHouse(t, scripts)
	m := h.newMachine("worker")
	h.do(h.Start(t.Context()))
	t.Cleanup(h.Stop)
	h.do(h.poller.Poll(t.Context(), h.project)) // which rings
	for _, step := range []string{"shop", "publish"} {
		work := good(h.LeaseStep(t.Context(), flow.StepCall{Worker: m.worker}, 20*time.Second))(t)
		if work == nil || work.Step.Name != step {
			t.Fatalf("leased %+v, want %s", work, step)
		}
		h.do(h.ReportStep(t.Context(), work.Lease, towpath.StepReported{State: towpath.AttemptPassed}, store.Log{}))
	}
	h.wantRun(h.runs()[0].ID, towpath.RunPassed)
	h.Stop()
	h.Stop() // twice is no error
}

package flow_test

import (
	"strings"
	"testing"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/flow"
	"github.com/towpath-cd/towpath/internal/queue"
	"github.com/towpath-cd/towpath/internal/store"
)

const forWindows = `pipeline: shop
on: {push: {}, manual: true}
steps:
  - {build: installer, run: make, worker: {os: windows}}
  - {build: shop, run: make, needs: []}
`

// impatient has steps that nobody can run wait for half an hour.
func impatient(t *testing.T) *house {
	h := newHouse(t, forWindows)
	h.options.Unclaimed = 30 * time.Minute
	h.Conductor = flow.New(h.options)
	h.do(h.Resume(t.Context()))
	return h
}

func TestAStepThatNobodyCanRunFailsWithTheReasonAndNotBeforeItsTime(t *testing.T) {
	t.Parallel()
	h := impatient(t)
	m := h.newMachine("worker")
	run := h.push("Sell more tea")
	h.passSeeing(29*time.Minute, m)
	h.wantStep(run, "installer", towpath.StepQueued)
	h.passSeeing(2*time.Minute, m)
	step := h.wantStep(run, "installer", towpath.StepFailed)
	if want := "no worker has os=windows; 1 has linux/amd64; waited for 30m"; step.Reason != want {
		t.Errorf("it failed as %q, want %q", step.Reason, want)
	}
	h.do(m.report(m.take("shop"), towpath.AttemptPassed)) // which somebody could have run waits on
	h.wantRun(run, towpath.RunFailed)
}

func TestAStepWaitsForAWorkerThatIsOnlyBusy(t *testing.T) {
	t.Parallel()
	h := impatient(t)
	m := h.newMachine("worker")
	m.worker.OS = "windows"
	h.update(func(tx *store.Tx) error { return tx.DescribeWorker(m.worker) })
	run := h.push("Sell more tea")
	h.passSeeing(time.Hour, m)
	h.wantStep(run, "installer", towpath.StepQueued)

	h.pass(queue.Silent + time.Minute) // and then it goes away
	step := h.wantStep(run, "installer", towpath.StepFailed)
	if !strings.HasPrefix(step.Reason, "no worker that fits is there; worker was not heard of for ") {
		t.Errorf("it failed as %q", step.Reason)
	}
}

func TestAServerThatWasAwayGivesItsWorkersTimeToComeBack(t *testing.T) {
	t.Parallel()
	h := impatient(t)
	m := h.newMachine("worker")
	m.worker.OS = "windows"
	h.update(func(tx *store.Tx) error { return tx.DescribeWorker(m.worker) })
	run := h.push("Sell more tea")
	h.clock.pass(24 * time.Hour)
	h.Conductor = flow.New(h.options)
	h.do(h.Resume(t.Context()))
	h.pass(time.Minute)
	h.passSeeing(time.Minute, m)
	h.wantStep(run, "installer", towpath.StepQueued)
}

// passSeeing has time pass while machines are heard of.
func (h *house) passSeeing(d time.Duration, machines ...*machine) {
	h.t.Helper()
	for ; d > 0; d -= 10 * time.Second {
		for _, m := range machines {
			h.Saw(m.worker.ID)
		}
		h.pass(10 * time.Second)
	}
}

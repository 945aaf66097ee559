package flow_test

import (
	"testing"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/flow"
	"github.com/towpath-cd/towpath/internal/queue"
	"github.com/towpath-cd/towpath/internal/store"
)

const day = 24 * time.Hour

func TestAClockThatIsSetBackDelaysNothingThatIsDue(t *testing.T) {
	t.Parallel()
	h := newHouse(t, shop)
	m := h.newMachine("worker")
	run := h.push("Sell more tea")
	m.passes("shop", tree("shop", "aa"))
	h.do(h.ReportStep(t.Context(), m.take("unit").Lease, towpath.StepReported{State: towpath.AttemptPassed}, store.Log{}))
	h.clock.pass(-day)
	h.settle()
	h.wantStep(run, "staging", towpath.StepRunning)
}

func TestAnEffectThatAClockAheadHasPutOffIsTriedOnceTheClockIsSetBack(t *testing.T) {
	t.Parallel()
	h := newHouse(t, scripts)
	m := h.newMachine("worker")
	h.push("Break it")
	h.receiver.answers(502)
	h.do(m.report(m.take("shop"), towpath.AttemptFailed))
	h.receiver.answers(200)
	h.clock.pass(-day)
	h.settle()
	if told := h.receiver.of(towpath.AlertBroke); len(told) != 2 {
		t.Errorf("people were told %d times, the first of which failed", len(told))
	}
}

func TestALeaseLastsNoLongerThanALeaseWhereverTheClockIsSet(t *testing.T) {
	t.Parallel()
	for name, jump := range map[string]time.Duration{"ahead": day, "back": -day} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, scripts)
			m := h.newMachine("worker")
			run := h.push("Sell more tea")
			work := m.take("shop")
			h.clock.pass(jump)
			_, _, err := h.RenewStep(t.Context(), work.Lease) // before the sweeper has noticed
			h.do(err)
			h.pass(queue.LeaseTime / 2)
			h.wantStep(run, "shop", towpath.StepRunning)
			h.pass(queue.LeaseTime)
			if step := h.wantStep(run, "shop", towpath.StepQueued); step.Attempt() != 2 {
				t.Errorf("the lost attempt is still %+v", step.Attempts)
			}
		})
	}
}

func TestAKeeperThatKnowsMoreThanARestoredServerTakesItsOrder(t *testing.T) {
	t.Parallel()
	h := newHouse(t, shop)
	m := h.newMachine("worker")
	h.toStaging(m, "Sell more tea", "aa")
	m.keeps()
	e := h.environment("shop/staging")
	known := []flow.Kept{{Environment: e.Key, Serial: e.Serial + 5, Observed: e.Epoch}}
	keeping, err := h.Keep(t.Context(), m.worker, m.holder, known, 0)
	h.do(err)
	if len(keeping.Orders) != 1 || keeping.Orders[0].Environment.Serial <= e.Serial+5 {
		t.Errorf("the keeper is told %+v, which it takes for older than what it knows", keeping.Orders)
	}
}

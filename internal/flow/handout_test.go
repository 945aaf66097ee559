package flow_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/flow"
	"github.com/towpath-cd/towpath/internal/queue"
	"github.com/towpath-cd/towpath/internal/store"
)

// call is a worker's call for a step, as long as it waits.
type call struct {
	end  context.CancelFunc
	work chan *flow.Work
	err  chan error
}

// calls has the machine wait for a step.
func (m *machine) calls() *call {
	m.t.Helper()
	ctx, end := context.WithCancel(m.t.Context())
	m.t.Cleanup(end)
	c := &call{end: end, work: make(chan *flow.Work, 1), err: make(chan error, 1)}
	before, call := m.Waiting(), m.stepCall()
	go func() {
		work, err := m.LeaseStep(ctx, call, time.Minute)
		c.work <- work
		c.err <- err
	}()
	m.eventually("the worker waits", func() bool { return m.Waiting() == before+1 })
	return c
}

func (h *house) eventually(what string, holds func() bool) {
	h.t.Helper()
	deadline := time.NewTimer(2 * time.Minute)
	defer deadline.Stop()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-deadline.C:
			h.t.Fatalf("never: %s", what)
		case <-tick.C:
		}
	}
}

func (c *call) wantStep(t *testing.T, name string) *flow.Work {
	t.Helper()
	select {
	case work := <-c.work:
		if work == nil || work.Step.Name != name {
			t.Fatalf("the call is answered with %+v, %v; want step %s", work, <-c.err, name)
		}
		return work
	case <-time.After(20 * time.Second):
		t.Fatal("the call is not answered")
	}
	return nil
}

func hasRung(topic <-chan struct{}) bool {
	select {
	case <-topic:
		return true
	default:
		return false
	}
}

func TestAWorkerThatWaitsHasItsStepInTheCommitThatMakesItReady(t *testing.T) {
	t.Parallel()
	h := newHouse(t, scripts)
	first, second := h.newMachine("first"), h.newMachine("second")
	one, two := first.calls(), second.calls()
	rung := h.hub.Wait(flow.TopicQueue)
	run := h.push("Sell more tea")
	h.wantStep(run, "shop", towpath.StepRunning)
	work := one.wantStep(t, "shop")
	if work.Lease.Worker != "first" || !work.Lease.Expires.Equal(h.clock.Now().Add(queue.LeaseTime)) {
		t.Errorf("the lease is %+v", work.Lease)
	}
	if hasRung(rung) || h.Waiting() != 1 {
		t.Error("others were woken for nothing")
	}

	h.do(first.report(work, towpath.AttemptPassed))
	if step := h.wantStep(run, "publish", towpath.StepRunning); step.Attempts[0].Worker != "second" {
		t.Errorf("the next step is leased to %+v", step.Attempts)
	}
	h.do(second.report(two.wantStep(t, "publish"), towpath.AttemptPassed))
	h.wantRun(run, towpath.RunPassed)
}

func TestWhoWaitsLongestAndFitsIsGivenTheStep(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "pipeline: shop\non: {push: {}, manual: true}\nsteps:\n  - {build: shop, run: make, worker: {os: linux}}\n")
	mac, gone, draining, fits, last := h.newMachine("mac"), h.newMachine("gone"), h.newMachine("draining"), h.newMachine("fits"), h.newMachine("last")
	mac.worker.OS = "darwin"
	for _, m := range []*machine{mac, gone, draining} {
		m.calls()
	}
	chosen := fits.calls()
	last.calls()
	h.update(func(tx *store.Tx) error {
		return errors.Join(tx.DeleteWorker(gone.worker.ID), tx.DrainWorker(draining.worker.ID, true, "ada"))
	})
	h.push("Sell more tea")
	chosen.wantStep(t, "shop")
	if h.eventually("those who got nothing wait again", func() bool { return h.Waiting() == 4 }); len(h.runs()) != 1 {
		t.Errorf("%d runs", len(h.runs()))
	}
}

func TestAWorkerThatWaitsIsGivenTheMostUrgentStepThatFits(t *testing.T) {
	t.Parallel()
	h := newHouse(t, scripts)
	m := h.newMachine("worker")
	urgent := store.QueuedStep{Run: h.push("Sell more tea"), Step: "shop", Attempt: 1, Project: h.project.ID, Kind: towpath.KindBuild, Priority: 1}
	h.update(func(tx *store.Tx) error {
		_, err := tx.Dequeue(urgent.Run, urgent.Step, urgent.Attempt)
		return err
	})
	waiting := m.calls()
	h.update(func(tx *store.Tx) error { return tx.Enqueue(urgent) }) // of which nobody is told
	coffee := h.push("Sell more coffee")
	if work := waiting.wantStep(t, "shop"); work.Run.ID != urgent.Run {
		t.Errorf("it was given that of run %d", work.Run.Number)
	}
	if work := h.newMachine("other").take("shop"); work.Run.ID != coffee {
		t.Errorf("the step that was left is not there; it was given that of run %d", work.Run.Number)
	}
}

// TestWhatBecomesReadyBetweenALookAndTheWaitIsNotMissed makes steps ready while calls are somewhere between looking and
// waiting: none of them may wait while there is a step for it.
func TestWhatBecomesReadyBetweenALookAndTheWaitIsNotMissed(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "pipeline: shop\non: {push: {}, manual: true}\nsteps:\n  - {build: shop, run: make}\n")
	m := h.newMachine("worker")
	for range 30 {
		taken, failed := make(chan *flow.Work, 1), make(chan error, 1)
		call := m.stepCall()
		go func() {
			work, err := m.LeaseStep(t.Context(), call, time.Minute)
			taken <- work
			failed <- err
		}()
		good(h.StartRun(t.Context(), flow.Wish{Project: h.project.ID, By: "ada", Record: unrecorded}))(t)
		select {
		case work := <-taken:
			if work == nil {
				t.Fatalf("it was given nothing: %v", <-failed)
			}
			m.answered++
			h.do(m.report(work, towpath.AttemptPassed))
		case <-time.After(30 * time.Second):
			t.Fatal("it waits though there is a step for it")
		}
	}
}

func TestAPipelineRunsNoMoreStepsAtATimeThanItMay(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "pipeline: shop\non: {push: {}, manual: true}\nsteps:\n  - {build: shop, run: make}\n")
	h.update(func(tx *store.Tx) error {
		project, version, err := tx.Project(h.project.ID)
		project.StepsAtOnce = 1
		return errors.Join(err, tx.SaveProject(project, version))
	})
	first, second := h.newMachine("first"), h.newMachine("second")
	h.push("Sell more tea")
	work := first.take("shop")
	waiting := second.calls()
	h.push("Sell more coffee")
	if h.Waiting() != 1 {
		t.Error("the second step was given away, or its worker was sent away")
	}
	h.do(first.report(work, towpath.AttemptPassed))
	waiting.wantStep(t, "shop")
}

// hooked has something happen while a step's secrets are looked up, which is in the transaction that leases it.
type hooked struct {
	flow.Secrets
	hook func() error
}

func (s *hooked) ForStep(tx *store.Tx, run towpath.Run, step towpath.Step) (flow.Given, error) {
	if err := s.hook(); err != nil {
		return flow.Given{}, err
	}
	return s.Secrets.ForStep(tx, run, step)
}

// hook makes the conductor anew.
func (h *house) hook(hook func() error) {
	h.options.Secrets = &hooked{h.options.Secrets, hook}
	h.Conductor = flow.New(h.options)
	h.do(h.Resume(h.t.Context()))
}

func TestAStepThatItsWorkerCouldNotBeGivenIsThereAtItsNextCall(t *testing.T) {
	t.Parallel()
	h := newHouse(t, scripts)
	var interrupted *call
	h.hook(func() error {
		if interrupted != nil {
			interrupted.end()
		}
		return nil
	})
	m := h.newMachine("worker")
	interrupted = m.calls()
	run := h.push("Sell more tea")
	interrupted.wantStep(t, "shop")
	interrupted = nil
	h.NotGiven()
	if other := h.newMachine("other").lease(); other != nil {
		t.Errorf("another worker was given %+v", other.Lease)
	}
	h.pass(queue.LeaseTime - time.Second)
	h.Conductor = flow.New(h.options) // the server was killed, and is there again
	h.do(h.Resume(t.Context()))
	again := m.take("shop")
	if again.Lease.Attempt != 1 || !again.Lease.Expires.Equal(h.clock.Now().Add(queue.LeaseTime)) {
		t.Errorf("the lease is %+v", again.Lease)
	}
	h.pass(queue.LeaseTime - time.Second) // it was renewed
	h.do(m.report(again, towpath.AttemptPassed))

	m.take("publish")
	m.restart() // and asks as another
	if work := m.lease(); work != nil {
		t.Errorf("the worker's next process was given %+v", work.Lease)
	}
	h.pass(queue.LeaseTime + time.Second)
	h.wantStep(run, "publish", towpath.StepFailed)
	if work := m.lease(); work != nil {
		t.Errorf("the worker was given %+v, which is lost", work.Lease)
	}
}

func TestALeaseThatFailsDoesNotUndoWhatMadeItsStepReady(t *testing.T) {
	t.Parallel()
	h := newHouse(t, scripts)
	fails := 1
	h.hook(func() error {
		if fails--; fails >= 0 {
			return fmt.Errorf("no room for secrets: %w", store.ErrUnwritable)
		}
		return nil
	})
	m := h.newMachine("worker")
	waiting := m.calls()
	run := h.push("Sell more tea")
	h.do(m.report(waiting.wantStep(t, "shop"), towpath.AttemptPassed)) // it looked again by itself
	fails = 1
	if _, err := m.LeaseStep(t.Context(), m.stepCall(), 0); !errors.Is(err, store.ErrUnwritable) {
		t.Errorf("who asks is told %v", err)
	}
	h.pass(4 * time.Second) // and the server notices that there is room after all
	h.wantStep(run, "publish", towpath.StepQueued)
	if work := m.take("publish"); work.Lease.Attempt != 1 {
		t.Errorf("then it is given %+v", work.Lease)
	}
}

// TestEveryStepIsGivenToOneWorkerHoweverManyGoAway has workers call and hang up at random while runs are started.
func TestEveryStepIsGivenToOneWorkerHoweverManyGoAway(t *testing.T) {
	t.Parallel()
	h := newHouse(t, `pipeline: shop
on: {push: {}, manual: true}
steps:
  - {build: shop, run: make}
  - {test: unit, run: make test, needs: [shop]}
  - {test: browser, run: make test, needs: [shop]}
  - {run: publish, script: make publish, needs: [unit, browser]}
`)
	var mu sync.Mutex
	given := map[towpath.Lease]int{}
	ended, stop := context.WithCancel(t.Context())
	var all sync.WaitGroup
	for n := range 4 {
		m := h.newMachine(fmt.Sprintf("worker%d", n))
		all.Go(func() {
			for ended.Err() == nil {
				ctx, cancel := context.WithTimeout(ended, time.Duration(rand.IntN(3000))*time.Microsecond)
				work, err := m.LeaseStep(ctx, m.stepCall(), time.Minute)
				hungUp := ctx.Err() != nil
				cancel()
				if work == nil {
					if err != nil && !hungUp {
						t.Error(err)
					}
					continue
				}
				if hungUp && ended.Err() == nil {
					h.NotGiven()
					continue
				}
				m.answered++
				lease := work.Lease
				lease.Worker, lease.Expires = "", time.Time{}
				mu.Lock()
				given[lease]++
				mu.Unlock()
				if err := h.ReportStep(t.Context(), work.Lease, towpath.StepReported{State: towpath.AttemptPassed}, store.Log{}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	const runs = 10
	for range runs {
		good(h.StartRun(t.Context(), flow.Wish{Project: h.project.ID, By: "ada", Record: unrecorded}))(t)
	}
	h.eventually("every run has passed", func() bool {
		for _, run := range h.runs() {
			if run.State != towpath.RunPassed {
				return false
			}
		}
		return true
	})
	stop()
	all.Wait()
	if len(given) != 4*runs {
		t.Errorf("%d attempts were given, want %d", len(given), 4*runs)
	}
	for lease, times := range given {
		if times != 1 || lease.Attempt != 1 {
			t.Errorf("%+v was given %d times", lease, times)
		}
	}
}

package flow_test

import (
	"fmt"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/flow"
	"github.com/towpath-cd/towpath/internal/store"
)

// machine is a worker and keeper that the story plays.
type machine struct {
	*house
	worker   towpath.Worker
	holder   string
	answered int                   // calls for a step
	orders   map[string]flow.Order // by environment's key: the last that it heard
}

// newMachine is a worker that has registered.
func (h *house) newMachine(id string) *machine {
	h.t.Helper()
	return h.newMachineOf(id, "linux")
}

// newMachineOf is one of another system.
func (h *house) newMachineOf(id, system string) *machine {
	h.t.Helper()
	m := &machine{house: h, worker: towpath.Worker{ID: id, Name: id, OS: system, Arch: "amd64", Slots: 2}, holder: id + "/1", orders: map[string]flow.Order{}}
	h.update(func(tx *store.Tx) error { return tx.RegisterWorker(m.worker, "key-"+id) })
	return m
}

// restart makes it a new process on the same machine.
func (m *machine) restart() {
	m.holder += "'"
	m.orders = map[string]flow.Order{}
}

// lease takes the next attempt, nil where there is none.
func (m *machine) lease() *flow.Work {
	m.t.Helper()
	work := good(m.LeaseStep(m.t.Context(), m.stepCall(), 0))(m.t)
	m.answered++
	return work
}

// stepCall is its call for a step: the same until it was answered.
func (m *machine) stepCall() flow.StepCall {
	return flow.StepCall{Worker: m.worker, ID: fmt.Sprintf("%s/%d", m.holder, m.answered)}
}

// take leases the next attempt and fails where it is not of that step.
func (m *machine) take(step string) *flow.Work {
	m.t.Helper()
	work := m.lease()
	if work == nil || work.Step.Name != step {
		m.t.Fatalf("leased %+v, want step %s", work, step)
	}
	return work
}

// report ends an attempt.
func (m *machine) report(w *flow.Work, state towpath.AttemptState, artifacts ...towpath.Artifact) error {
	m.t.Helper()
	err := m.ReportStep(m.t.Context(), w.Lease, towpath.StepReported{State: state, Artifacts: artifacts, Reason: "exit 0"}, store.Log{Lines: 1, Size: 4})
	m.settle()
	return err
}

// passes runs a step that passes, and keeps artifacts.
func (m *machine) passes(step string, artifacts ...towpath.Artifact) {
	m.t.Helper()
	m.do(m.report(m.take(step), towpath.AttemptPassed, artifacts...))
}

// tree is an artifact of a step.
func tree(step, digest string) towpath.Artifact {
	return towpath.Artifact{Step: step, Digest: "sha256:" + digest, Path: "dist/", Platform: "linux/amd64", Files: 1, Size: 10}
}

// keeps asks for environments once, as a keeper does every few seconds.
func (m *machine) keeps() flow.Keeping { return m.waits(0) }

// waits is keeps with a call that waits for something new.
func (m *machine) waits(atMost time.Duration) flow.Keeping {
	m.t.Helper()
	var kept []flow.Kept
	for key, o := range m.orders {
		kept = append(kept, flow.Kept{Environment: key, Serial: o.Environment.Serial, Observed: o.Environment.Epoch})
	}
	keeping := good(m.Keep(m.t.Context(), m.worker, m.holder, kept, atMost))(m.t)
	for _, o := range keeping.Orders {
		m.orders[o.Environment.Key] = o
	}
	for _, key := range keeping.Lost {
		delete(m.orders, key)
	}
	return keeping
}

// reaches tells that an environment's goal serves.
func (m *machine) reaches(key string) {
	m.t.Helper()
	m.do(m.says(key, func(e towpath.Environment, at time.Time) towpath.EnvironmentEvent {
		return towpath.GoalReached{Epoch: e.Epoch, Deployment: e.Deployment.ID, Returning: e.Deployment.IsReturning(), At: at}
	}))
}

// cannotReach tells that an environment's goal cannot be reached.
func (m *machine) cannotReach(key, reason string) {
	m.t.Helper()
	m.do(m.says(key, func(e towpath.Environment, at time.Time) towpath.EnvironmentEvent {
		return towpath.GoalFailed{Epoch: e.Epoch, Deployment: e.Deployment.ID, Returning: e.Deployment.IsReturning(), Reason: reason, At: at}
	}))
}

func (m *machine) says(key string, event func(towpath.Environment, time.Time) towpath.EnvironmentEvent) error {
	m.t.Helper()
	m.keeps()
	known, ok := m.orders[key]
	if !ok || known.Environment.Deployment == nil {
		m.t.Fatalf("%s does not deploy to %s: %+v", m.worker.ID, key, known.Environment)
	}
	order, err := m.Reported(m.t.Context(), key, flow.Report{
		Epoch: known.Environment.Epoch,
		Event: func(at time.Time) towpath.EnvironmentEvent { return event(known.Environment, at) },
	})
	if err == nil {
		m.orders[key] = order
	}
	m.settle()
	return err
}

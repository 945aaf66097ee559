package flow_test

import (
	"slices"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/store"
)

// calmDown lets everybody do their work until nothing is left: a bounded number of rounds.
func (m *mayhem) calmDown() {
	for range 80 {
		m.look(m.t)
		m.clock.pass(2 * time.Second)
		_, err := m.Sweep(m.ctx())
		m.try(err)
		m.carry(m.t)
		for range 4 {
			m.onePasses(m.t)
		}
		for range m.waiting() {
			m.oneApproves(m.t)
		}
		m.oneReaches(m.t)
		if m.isCalm() {
			return
		}
	}
	m.t.Fatalf("it does not come to an end\nruns %+v\neffects %+v", m.runs(), m.due())
}

func (m *mayhem) isCalm() bool {
	running := func(r towpath.Run) bool { return !r.State.IsFinal() }
	busy := func(e towpath.Environment) bool { return e.Deployment != nil || len(e.Queue) > 0 }
	if len(m.due()) > 0 {
		_, err := m.AnnounceDue(m.ctx())
		m.try(err)
	}
	return !slices.ContainsFunc(m.runs(), running) && !slices.ContainsFunc(m.environments(), busy) && len(m.due()) == 0
}

func (m *mayhem) environments() (found []towpath.Environment) {
	m.view(func(tx *store.Tx) (err error) {
		found, err = tx.Environments(store.EnvironmentFilter{})
		return err
	})
	return found
}

// check is what has to hold in the end.
func (m *mayhem) check() {
	for _, c := range m.changes() {
		if c.Outcome != store.ChangeRun || len(c.Runs) != 1 {
			m.t.Errorf("a change became %v: %s %s", c.Runs, c.Outcome, c.Reason)
		}
	}
	if len(m.runs()) != m.pushed {
		m.t.Errorf("%d pushes made %d runs", m.pushed, len(m.runs()))
	}
	m.view(func(tx *store.Tx) error {
		ready, err := tx.Ready(0)
		leases, errLeases := tx.Leases()
		if len(ready)+len(leases) > 0 || err != nil || errLeases != nil {
			m.t.Errorf("nothing runs, and the queue holds %+v and %+v", ready, leases)
		}
		return nil
	})
	if waiting := m.waiting(); len(waiting) > 0 {
		m.t.Errorf("people are asked of runs that have ended: %+v", waiting)
	}
	m.checkReleases()
	for _, e := range m.environments() {
		m.checkEnvironment(e)
	}
}

func (m *mayhem) checkReleases() {
	byRun := map[string]int{}
	for i, r := range m.releases() {
		byRun[r.Run]++
		if want := len(m.releases()) - i; r.Number != want {
			m.t.Errorf("release %d stands where %d should", r.Number, want)
		}
	}
	for run, n := range byRun {
		if n > 1 {
			m.t.Errorf("run %s made %d releases of the same artifacts", run, n)
		}
	}
}

func (m *mayhem) checkEnvironment(e towpath.Environment) {
	if e.Goal != e.Live && e.Halted == "" {
		m.t.Errorf("%s: release %d is live while %d is wanted and nothing is under way", e.Key, e.Live.Number, e.Goal.Number)
	}
	if n := len(e.History); n > 0 && e.History[n-1] != e.Live {
		m.t.Errorf("%s: release %d is live, which is not the last of %+v", e.Key, e.Live.Number, e.History)
	}
	steps := map[string]int{}
	for _, d := range m.deployments(e.Key) {
		if !d.State.IsFinal() || d.EndedAt.IsZero() {
			m.t.Errorf("%s: a deployment is %s in the end", e.Key, d.State)
		}
		if d.Run == "" {
			continue
		}
		if steps[d.Run]++; steps[d.Run] > 1 {
			m.t.Errorf("%s: run %s was deployed %d times", e.Key, d.Run, steps[d.Run])
		}
		if step, _ := m.run(d.Run).Step(e.Name); step.State == towpath.StepPassed != (d.State == towpath.DeploymentLive) && step.State != towpath.StepCanceled {
			m.t.Errorf("%s: the deployment is %s and its step %s", e.Key, d.State, step.State)
		}
	}
}

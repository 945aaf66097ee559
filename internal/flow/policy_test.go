package flow_test

import (
	"strings"
	"testing"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/flow"
	"github.com/towpath-cd/towpath/internal/store"
)

// allows changes the policy of an environment of shop.
func (h *house) allows(environment string, change towpath.PolicyChange) {
	h.t.Helper()
	good(h.ChangePolicy(h.t.Context(), "shop", environment, change, flow.Act{By: "mira", Record: unrecorded}))(h.t)
	h.settle()
}

// hosted is a straight pipeline to staging on hosts.
func hosted(hosts string) string {
	return strings.Replace(straight("staging", ""), "{process: {command: ./shop}}",
		"{hosts: {addresses: ["+hosts+"], port: 8000, path: /srv/shop, restart: restart}}\n    strategy: all-at-once", 1)
}

// lastChange answers what became of the newest change.
func (h *house) lastChange() (last store.RecordedChange) {
	h.t.Helper()
	h.view(func(tx *store.Tx) error {
		changes, err := tx.Changes(store.ChangeFilter{Projects: []string{h.project.ID}, Limit: 1})
		if len(changes) > 0 {
			last = changes[0]
		}
		return err
	})
	return last
}

func TestARunWhoseFileAsksForMoreThanThePolicyIsRefusedBeforeAnythingRuns(t *testing.T) {
	t.Parallel()
	h := newHouse(t, hosted("web1"))
	m := h.newMachine("worker")
	run, _ := h.deploys(m, "aa", "staging")
	m.reaches("shop/staging")
	h.wantStep(run, "staging", towpath.StepPassed)
	h.allows("staging", towpath.PolicyChange{Addresses: []string{"web1"}, Refs: []string{"main"}})

	h.write("towpath.yaml", hosted("web1, web2"))
	h.commit("Take web2")
	h.poll()
	c := h.lastChange()
	if c.Outcome != store.ChangeFailed || !strings.Contains(c.Reason, "towpath.yaml:8: the policy of shop/staging does not allow address web2") ||
		!strings.Contains(c.Reason, "towpath policy") {
		t.Errorf("the change is %s: %s", c.Outcome, c.Reason)
	}
	if work := m.lease(); work != nil {
		t.Errorf("a step of it runs: %+v", work.Step)
	}
	_, err := h.start(flow.Wish{})
	wantCode(t, err, towpath.CodeForbidden)
	scripts := good(h.start(flow.Wish{Scripts: true}))(t) // it does not come to the deployment
	if len(scripts) != 1 {
		t.Error("a run of scripts only is refused")
	}
	m.passes("shop", tree("shop", "bb"))

	h.git("checkout", "-q", "-b", "idea") // which may not deploy there whatever its file says: its tests run
	h.commit("An idea")
	h.poll()
	m.passes("shop", tree("shop", "cc"))
	if c := h.lastChange(); c.Outcome != store.ChangeRun {
		t.Fatalf("the change of another branch is %s: %s", c.Outcome, c.Reason)
	}
	step := h.wantStep(h.lastChange().Runs[0], "staging", towpath.StepFailed)
	if step.Reason != "the policy of shop/staging does not allow idea: it allows main" {
		t.Errorf("its deployment was refused with %q", step.Reason)
	}
}

func TestAPolicyThatIsSetMeanwhileRefusesTheDeploymentWhenItsStepComes(t *testing.T) {
	t.Parallel()
	h := newHouse(t, hosted("web1"))
	m := h.newMachine("worker")
	run := h.push("Bring aa")
	h.allows("staging", towpath.PolicyChange{Addresses: []string{"web2"}}) // before there is such an environment
	m.passes("shop", tree("shop", "aa"))
	step := h.wantStep(run, "staging", towpath.StepFailed)
	if step.Reason != "the policy of shop/staging does not allow address web1" {
		t.Errorf("it was refused with %q", step.Reason)
	}
	_, err := h.Rerun(t.Context(), flow.Repeat{Run: run, Again: towpath.Again{Failed: true}, By: "bob", Record: func(*store.Tx, towpath.Run) error { return nil }})
	wantCode(t, err, towpath.CodeForbidden)
	h.allows("staging", towpath.PolicyChange{Addresses: []string{"web1", "10.0.0.0/8"}})
	_, step = h.deploys(m, "bb", "staging")
	if step.State != towpath.StepWaiting && step.State != towpath.StepRunning {
		t.Fatalf("the step is %s: %s", step.State, step.Reason)
	}
	if e := h.environment("shop/staging"); e.Policy.String() != "addresses 10.0.0.0/8, web1" {
		t.Errorf("a new environment has the policy %q", e.Policy)
	}
}

func TestAWorkerThatThePolicyDoesNotAllowKeepsNothing(t *testing.T) {
	t.Parallel()
	h := newHouse(t, hosted("web1"))
	first, second := h.newMachine("first"), h.newMachine("second")
	h.push("Bring aa")
	h.allows("staging", towpath.PolicyChange{Workers: []string{"second"}})
	first.passes("shop", tree("shop", "aa"))
	if k := first.keeps(); len(k.Orders) > 0 {
		t.Fatalf("it was given %+v", k.Orders)
	}
	if k := second.keeps(); len(k.Orders) != 1 || k.Orders[0].Environment.Policy.Workers != nil {
		t.Fatalf("who may keep it was given %+v", k.Orders)
	}
	second.reaches("shop/staging")
	h.allows("staging", towpath.PolicyChange{Workers: []string{"first"}})
	if k := second.keeps(); len(k.Lost) != 1 {
		t.Errorf("it keeps what it may not any more: %+v", k)
	}
	h.write("towpath.yaml", hosted("web1")+"    worker: {labels: [gpu]}\n")
	h.commit("Ask for a label")
	h.poll()
	if c := h.lastChange(); !strings.Contains(c.Reason, "allows the workers first, of which none has what the file asks for: label gpu") {
		t.Errorf("the change is %s: %s", c.Outcome, c.Reason)
	}
}

func TestANewKeeperGetsNothingBeyondThePolicyAndARollbackSaysWhy(t *testing.T) {
	t.Parallel()
	h := newHouse(t, hosted("web1"))
	m := h.newMachine("worker")
	h.deploys(m, "aa", "staging")
	m.reaches("shop/staging")
	h.deploys(m, "bb", "staging")
	m.keeps()
	h.allows("staging", towpath.PolicyChange{Addresses: []string{"web2"}})
	m.restart()
	if k := m.keeps(); len(k.Orders) != 1 {
		t.Fatalf("what has begun does not go on: %+v", k)
	}
	m.reaches("shop/staging")
	m.restart()
	if k := m.keeps(); len(k.Orders) > 0 {
		t.Errorf("a new keeper was given %+v", k.Orders)
	}
	if doing := h.Doing("shop/staging"); !strings.Contains(doing, "does not allow address web1") {
		t.Errorf("it says %q", doing)
	}
	by := flow.Act{By: "mira", Record: unrecorded}
	_, err := h.Rollback(t.Context(), "shop/staging", 0, by)
	wantCode(t, err, towpath.CodeForbidden)
	h.allows("staging", towpath.PolicyChange{Lift: []string{towpath.PolicyAddress}})
	if k := m.keeps(); len(k.Orders) != 1 {
		t.Errorf("it was given %+v", k)
	}
	good(h.Rollback(t.Context(), "shop/staging", 0, by))(t)
}

func TestWhatNoPolicyCanBe(t *testing.T) {
	t.Parallel()
	h := newHouse(t, straight("production", ""))
	by := flow.Act{By: "mira", Record: unrecorded}
	h.push("Bring aa")
	for _, wrong := range []towpath.PolicyChange{{Protected: new(false)}, {Refs: []string{"[main"}}, {}} {
		_, err := h.ChangePolicy(t.Context(), "shop", "production", wrong, by)
		wantCode(t, err, towpath.CodeInvalid)
	}
	_, err := h.ChangePolicy(t.Context(), "nowhere", "production", towpath.PolicyChange{Refs: []string{"main"}}, by)
	wantCode(t, err, towpath.CodeNotFound)
}

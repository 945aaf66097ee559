package flow_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/access"
	"github.com/towpath-cd/towpath/internal/flow"
	"github.com/towpath-cd/towpath/internal/store"
)

// straight is a pipeline that deploys to one environment of that name without asking anybody. More stands in the
// environment's definition.
func straight(environment, more string) string {
	return `pipeline: shop
on: {push: {branches: ["**"]}, manual: true}
concurrency: parallel
steps:
  - {build: shop, run: make, artifacts: dist/}
  - deploy: ` + environment + `
environments:
  ` + environment + `:
    target: {process: {command: ./shop}}
` + more
}

// deploys pushes, builds, and answers the run with its deploy step as it stands then.
func (h *house) deploys(m *machine, digest, environment string) (string, towpath.Step) {
	h.t.Helper()
	run := h.push("Bring " + digest)
	m.passes("shop", tree("shop", digest))
	step, _ := h.run(run).Step(environment)
	return run, step
}

func TestProductionRefusesABranchThatIsNotProtectedAlsoByHand(t *testing.T) {
	t.Parallel()
	h := newHouse(t, straight("production", ""))
	h.poll()
	m := h.newMachine("worker")
	m.passes("shop", tree("shop", "aa"))
	m.reaches("shop/production")

	h.git("checkout", "-q", "-b", "idea")
	_, step := h.deploys(m, "bb", "production")
	if step.State != towpath.StepFailed || !strings.Contains(step.Reason, "production is protected: idea is not") {
		t.Fatalf("the step is %s: %s", step.State, step.Reason)
	}
	if len(h.releases()) != 1 {
		t.Errorf("a release was made: %+v", h.releases())
	}
	h.update(func(tx *store.Tx) error { // as if it had been made for another environment
		run := h.runs()[0]
		return tx.CreateRelease(towpath.Release{Project: "shop", Pipeline: "shop", Number: 2, Run: run.ID, Change: run.Number})
	})
	_, err := h.Deploy(t.Context(), "shop/production", 2, flow.Act{By: "bob", Record: unrecorded})
	wantCode(t, err, towpath.CodeForbidden)
}

func TestNobodyDeploysByHandWhatWasNotApproved(t *testing.T) {
	t.Parallel()
	h := newHouse(t, shop)
	h.person("mira", "release-managers")
	m := h.newMachine("worker")
	h.approve(h.toApproval(m, "Sell more tea", "aa"), "release", "mira")
	m.reaches("shop/production")
	run := h.toApproval(m, "Sell less tea", "bb")

	by := flow.Act{By: "bob", Record: unrecorded}
	_, err := h.Deploy(t.Context(), "shop/production", 2, by)
	wantCode(t, err, towpath.CodeForbidden)
	if !strings.Contains(err.Error(), `"release" of shop #2 has not been approved`) {
		t.Errorf("it is refused because %q", err)
	}
	if e := h.environment("shop/production"); e.Goal.Number != 1 || e.Deployment != nil {
		t.Errorf("the refusal changed the environment: %+v", e)
	}
	h.approve(run, "release", "mira")
	m.reaches("shop/production")
	for _, release := range []int{1, 2} { // both were approved
		good(h.Deploy(t.Context(), "shop/production", release, by))(t)
		m.reaches("shop/production")
		if e := h.environment("shop/production"); e.Live.Number != release {
			t.Errorf("release %d is live, want %d", e.Live.Number, release)
		}
	}
}

func TestAnEnvironmentTakesOnlyTheBranchesThatItNames(t *testing.T) {
	t.Parallel()
	h := newHouse(t, straight("staging", `    branches: [main, "release/**"]`+"\n"))
	h.poll()
	m := h.newMachine("worker")
	m.passes("shop", tree("shop", "aa"))
	m.reaches("shop/staging")
	h.git("checkout", "-q", "-b", "release/2026/11")
	if _, step := h.deploys(m, "bb", "staging"); step.State != towpath.StepRunning {
		t.Fatalf("the step is %s: %s", step.State, step.Reason)
	}
	m.reaches("shop/staging")
	h.git("checkout", "-q", "-b", "idea")
	if _, step := h.deploys(m, "cc", "staging"); step.State != towpath.StepFailed || !strings.Contains(step.Reason, "takes only branches main, release/**") {
		t.Errorf("the step is %s: %s", step.State, step.Reason)
	}
}

func TestAnOlderChangeIsNotDeployedOverANewerOne(t *testing.T) {
	t.Parallel()
	h := newHouse(t, straight("staging", ""))
	m := h.newMachine("worker")
	older := h.push("One")
	slow := m.take("shop")
	newer, _ := h.deploys(m, "bb", "staging")
	m.reaches("shop/staging")
	h.wantRun(newer, towpath.RunPassed)

	h.do(m.report(slow, towpath.AttemptPassed, tree("shop", "aa")))
	if step := h.wantStep(older, "staging", towpath.StepFailed); !strings.Contains(step.Reason, "older change") {
		t.Errorf("the step failed because %q", step.Reason)
	}
	if e := h.environment("shop/staging"); e.Live.Change != 2 {
		t.Errorf("the change of run %d is live", e.Live.Change)
	}
}

func TestARollbackPinsUntilANewerChange(t *testing.T) {
	t.Parallel()
	h := newHouse(t, straight("staging", ""))
	m := h.newMachine("worker")
	for _, digest := range []string{"aa", "bb"} {
		h.deploys(m, digest, "staging")
		m.reaches("shop/staging")
	}
	by := flow.Act{By: "bob", Reason: "it is slow", Record: unrecorded}
	back := good(h.Rollback(t.Context(), "shop/staging", 0, by))(t)
	h.settle()
	if back.Cause != towpath.CauseRollback || back.Release.Number != 1 {
		t.Fatalf("the rollback is %+v", back)
	}
	m.reaches("shop/staging")
	e := h.environment("shop/staging")
	if e.Live.Number != 1 || e.Pin == nil || e.Pin.From.Number != 2 {
		t.Fatalf("release %d is live, pinned by %+v", e.Live.Number, e.Pin)
	}
	told := h.receiver.of(towpath.AlertDeployed)
	if last := told[len(told)-1].body; !strings.Contains(last, `"bob"`) || !strings.Contains(last, "release 1 is live") {
		t.Errorf("the rollback was told by %s", last)
	}
	h.deploys(m, "cc", "staging")
	m.reaches("shop/staging")
	if e := h.environment("shop/staging"); e.Live.Number != 3 || e.Pin != nil {
		t.Errorf("after a newer change release %d is live, pinned by %+v", e.Live.Number, e.Pin)
	}
	_, err := h.Deploy(t.Context(), "shop/staging", 99, by)
	wantCode(t, err, towpath.CodeNotFound)
}

func TestADeploymentWaitsForItsTurnAndACanceledRunGivesItUp(t *testing.T) {
	t.Parallel()
	h := newHouse(t, straight("staging", ""))
	m := h.newMachine("worker")
	first, _ := h.deploys(m, "aa", "staging")
	second, step := h.deploys(m, "bb", "staging")
	third, _ := h.deploys(m, "cc", "staging")
	if step.State != towpath.StepWaiting {
		t.Fatalf("the second is %s", step.State)
	}
	good(h.Cancel(t.Context(), second, flow.Act{By: "bob", Record: unrecorded}))(t)
	h.settle()
	h.wantRun(second, towpath.RunCanceled)
	m.reaches("shop/staging")
	h.wantRun(first, towpath.RunPassed)
	h.wantStep(third, "staging", towpath.StepRunning)
	m.reaches("shop/staging")
	h.wantRun(third, towpath.RunPassed)
	states := map[towpath.DeploymentState]int{}
	for _, d := range h.deployments("shop/staging") {
		states[d.State]++
	}
	if states[towpath.DeploymentLive] != 2 || states[towpath.DeploymentWithdrawn] != 1 {
		t.Errorf("the deployments are %v", states)
	}
}

func TestADeploymentUnderWayGoesOnWhenItsRunIsCanceled(t *testing.T) {
	t.Parallel()
	h := newHouse(t, straight("staging", ""))
	m := h.newMachine("worker")
	run, _ := h.deploys(m, "aa", "staging")
	good(h.Cancel(t.Context(), run, flow.Act{By: "bob", Record: unrecorded}))(t)
	h.settle()
	h.wantStep(run, "staging", towpath.StepRunning)
	m.reaches("shop/staging")
	h.wantRun(run, towpath.RunCanceled)
	if e := h.environment("shop/staging"); e.Live.Number != 1 {
		t.Errorf("release %d is live", e.Live.Number)
	}
}

func TestADeploymentWhoseSecretIsNotGrantedIsRefusedBeforeAnythingIsTouched(t *testing.T) {
	t.Parallel()
	h := newHouse(t, straight("staging", "    secrets: [DATABASE_URL]\n"))
	m := h.newMachine("worker")
	_, step := h.deploys(m, "aa", "staging")
	if step.State != towpath.StepFailed || !strings.Contains(step.Reason, "there is no secret DATABASE_URL") {
		t.Errorf("the step is %s: %s", step.State, step.Reason)
	}
	if deployments := h.deployments("shop/staging"); len(deployments) > 0 {
		t.Errorf("deployments: %+v", deployments)
	}
}

func TestWhoWasGivenASecretIsKept(t *testing.T) {
	t.Parallel()
	h := newHouse(t, strings.Replace(straight("staging", "    secrets: [DATABASE_URL]\n"), "artifacts: dist/}", "artifacts: dist/, secrets: [NPM_TOKEN]}", 1))
	h.update(func(tx *store.Tx) error {
		return errors.Join(
			h.secrets.Put(tx, h.project.ID, "NPM_TOKEN", "npm-hunter2", access.SecretGrant{}, h.clock.Now()),
			h.secrets.Put(tx, h.project.ID, "DATABASE_URL", "postgres", access.SecretGrant{Environments: []string{"staging"}}, h.clock.Now()))
	})
	run, _ := h.deploys(h.newMachine("worker"), "aa", "staging")
	h.update(func(tx *store.Tx) error {
		uses, err := tx.SecretUses(h.project.ID, "", 0)
		for n, want := range []store.SecretUse{
			{Name: "NPM_TOKEN", Step: "shop"}, {Name: "DATABASE_URL", Step: "staging", Environment: "staging"},
		} {
			want.Run, want.Pipeline, want.Number = run, "shop", 1
			if n >= len(uses) {
				t.Fatalf("the uses are %+v", uses)
			}
			at := uses[n].At
			uses[n].At = time.Time{}
			if uses[n] != want || at.IsZero() {
				t.Errorf("use %d is %+v, want %+v", n, uses[n], want)
			}
		}
		one, also := tx.SecretUses(h.project.ID, "NPM_TOKEN", 0)
		if len(one) != 1 {
			t.Errorf("of one secret they are %+v", one)
		}
		return errors.Join(err, also, tx.ForgetRun(run))
	})
	h.update(func(tx *store.Tx) error {
		left, err := tx.SecretUses(h.project.ID, "", 0)
		if len(left) > 0 {
			t.Errorf("without their run there are %+v", left)
		}
		return err
	})
}

func TestAHookOfWhichNobodyKnowsWhatItHasDoneCallsAPersonOnce(t *testing.T) {
	t.Parallel()
	h := newHouse(t, straight("staging", "    hooks: {before: ./warm.sh}\n"))
	h.poll()
	m := h.newMachine("worker")
	m.passes("shop", tree("shop", "aa"))
	begins := func(e towpath.Environment, at time.Time) towpath.EnvironmentEvent {
		return towpath.HookBegan{Epoch: e.Epoch, Deployment: e.Deployment.ID, Hook: towpath.HookBefore, At: at}
	}
	loses := func(e towpath.Environment, at time.Time) towpath.EnvironmentEvent {
		return towpath.HookLost{Epoch: e.Epoch, Deployment: e.Deployment.ID, Hook: towpath.HookBefore, At: at}
	}
	h.do(m.says("shop/staging", loses)) // it never began, so this says nothing
	if told := h.receiver.of(towpath.AlertHalted); len(told) > 0 {
		t.Errorf("before it began people were told by %+v", told)
	}
	for _, event := range []func(towpath.Environment, time.Time) towpath.EnvironmentEvent{begins, loses, loses} {
		h.do(m.says("shop/staging", event))
	}
	told := h.receiver.of(towpath.AlertHalted)
	if len(told) != 1 || !strings.Contains(told[0].body, "shop/staging: stopped, a person has to look") ||
		!strings.Contains(told[0].body, "nobody knows what it has done") || !strings.Contains(told[0].body, `"to":["ada@example.com"]`) {
		t.Errorf("people were told by %+v", told)
	}
}

func TestAFrozenEnvironmentTakesNothingButARollback(t *testing.T) {
	t.Parallel()
	h := newHouse(t, straight("staging", ""))
	m := h.newMachine("worker")
	for _, digest := range []string{"aa", "bb"} {
		h.deploys(m, digest, "staging")
		m.reaches("shop/staging")
	}
	good(h.Change(t.Context(), "shop/staging", unrecorded, func(towpath.Environment) towpath.EnvironmentEvent {
		return towpath.Frozen{By: "mira", Reason: "the sale", At: h.clock.Now()}
	}))(t)
	by := flow.Act{By: "bob", Record: unrecorded}
	_, err := h.Deploy(t.Context(), "shop/staging", 1, by)
	wantCode(t, err, towpath.CodeConflict)
	if !strings.Contains(err.Error(), "frozen by mira: the sale") {
		t.Errorf("it says %v", err)
	}
	if _, step := h.deploys(m, "cc", "staging"); step.State != towpath.StepFailed {
		t.Errorf("the step is %s", step.State)
	}
	good(h.Rollback(t.Context(), "shop/staging", 0, by))(t)
	h.settle()
	m.reaches("shop/staging")
	if e := h.environment("shop/staging"); e.Live.Number != 1 {
		t.Errorf("release %d is live", e.Live.Number)
	}
}

func TestWhatWasBuiltForAnotherPlatformIsRefusedBeforeAnythingIsMade(t *testing.T) {
	t.Parallel()
	for platform, refused := range map[string]string{
		"linux/amd64": "",
		"any":         "",
		"linux/arm64": `"shop" was built on linux/arm64 (line 5), staging is linux/amd64; platform: any on the step says that it runs everywhere`,
	} {
		h := newHouse(t, straight("staging", "    platform: linux/amd64\n"))
		m := h.newMachine("worker")
		h.poll()
		built := tree("shop", "aa")
		built.Platform = platform
		m.passes("shop", built)
		step, _ := h.runs()[0].Step("staging")
		if refused != "" && (step.State != towpath.StepFailed || step.Reason != refused || len(h.releases()) > 0) {
			t.Errorf("%s: the step is %s: %s; there are %d releases", platform, step.State, step.Reason, len(h.releases()))
		}
		if refused == "" && (step.State == towpath.StepFailed || len(h.releases()) != 1) {
			t.Errorf("%s: the step is %s: %s", platform, step.State, step.Reason)
		}
	}
}

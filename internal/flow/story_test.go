package flow_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/flow"
	"github.com/towpath-cd/towpath/internal/store"
)

// shop is a pipeline with every leg.
const shop = `pipeline: shop
on: {push: {branches: ["**"]}, manual: true}
steps:
  - build: shop
    run: make
    artifacts: dist/
  - test: unit
    run: make test
  - deploy: staging
  - approve: release
    by: release-managers
    within: 1h
  - deploy: production
environments:
  staging:
    target: {process: {command: ./shop}}
  production:
    target: {process: {command: ./shop}}
`

func TestAPushGoesThroughEveryLegToLiveTraffic(t *testing.T) {
	t.Parallel()
	h := newHouse(t, shop)
	h.person("mira", "release-managers")
	m := h.newMachine("worker")

	run := h.push("Sell more tea")
	if r := h.run(run); r.Change.Author != "Ada" || r.Change.Title() != "Sell more tea" || !r.Change.Trusted {
		t.Errorf("the run's change is %+v", r.Change)
	}
	m.passes("shop", tree("shop", "aa"))
	work := m.take("unit")
	if len(work.Uses) != 1 || work.Uses[0].Digest != "sha256:aa" {
		t.Errorf("the test uses %+v, want exactly what was built", work.Uses)
	}
	h.do(m.report(work, towpath.AttemptPassed))

	h.wantStep(run, "staging", towpath.StepRunning)
	m.reaches("shop/staging")
	if step := h.wantStep(run, "staging", towpath.StepPassed); step.Release != 1 {
		t.Errorf("release %d is on staging, want 1", step.Release)
	}
	if asked := h.receiver.of(towpath.AlertApproval); len(asked) != 1 || !strings.Contains(asked[0].body, "release-managers") {
		t.Errorf("people were asked by %+v", asked)
	}
	h.approve(run, "release", "mira")
	h.wantStep(run, "production", towpath.StepRunning)
	m.reaches("shop/production")

	h.wantRun(run, towpath.RunPassed)
	if live := h.environment("shop/production").Live; live.Number != 1 || live.Title != "Sell more tea" {
		t.Errorf("%+v is live", live)
	}
	if releases := h.releases(); len(releases) != 1 || !slices.Equal(releases[0].Artifacts, []towpath.Artifact{tree("shop", "aa")}) {
		t.Errorf("the releases are %+v, want one of the bytes that were built", releases)
	}
	if told := h.receiver.of(towpath.AlertDeployed); len(told) != 2 || !strings.Contains(told[1].body, "ada@example.com") {
		t.Errorf("people were told of deployments by %+v", told)
	}
}

func TestAFailedDeploymentTurnsBackAndIsToldOnce(t *testing.T) {
	t.Parallel()
	h := newHouse(t, shop)
	m := h.newMachine("worker")
	first := h.toStaging(m, "One", "aa")
	m.reaches("shop/staging")
	h.wantStep(first, "staging", towpath.StepPassed)

	second := h.toStaging(m, "Two", "bb")
	m.cannotReach("shop/staging", "release 2 answers 500 at /healthz")
	if e := h.environment("shop/staging"); e.Goal.Number != 1 || e.Deployment.State != towpath.DeploymentReturning {
		t.Fatalf("the goal is release %d, %s", e.Goal.Number, e.Deployment.State)
	}
	h.wantStep(second, "staging", towpath.StepRunning) // it is not over before the old release serves again
	m.reaches("shop/staging")
	step := h.wantStep(second, "staging", towpath.StepFailed)
	if !strings.Contains(step.Reason, "500 at /healthz") {
		t.Errorf("the step failed because %q", step.Reason)
	}
	h.wantRun(second, towpath.RunFailed)
	h.settle()
	if returned := h.receiver.of(towpath.AlertReturned); len(returned) != 1 || !strings.Contains(returned[0].body, "went back to release 1") {
		t.Errorf("the return was told by %+v", returned)
	}
	if broke := h.receiver.of(towpath.AlertBroke); len(broke) != 1 {
		t.Errorf("the failure was told by %+v", broke)
	}
}

func TestWhatCannotGoBackHalts(t *testing.T) {
	t.Parallel()
	h := newHouse(t, shop)
	m := h.newMachine("worker")
	h.toStaging(m, "One", "aa")
	m.reaches("shop/staging")
	run := h.toStaging(m, "Two", "bb")
	m.cannotReach("shop/staging", "it does not start")
	m.cannotReach("shop/staging", "the disk of the machine is broken")

	h.wantRun(run, towpath.RunFailed)
	if e := h.environment("shop/staging"); e.Halted != "the disk of the machine is broken" || e.Deployment != nil {
		t.Errorf("the environment is %q with %+v", e.Halted, e.Deployment)
	}
	if halted := h.receiver.of(towpath.AlertHalted); len(halted) != 1 {
		t.Errorf("the halt was told by %+v", halted)
	}
}

// toStaging pushes and runs scripts until the deployment to staging is under way.
func (h *house) toStaging(m *machine, message, digest string) string {
	h.t.Helper()
	run := h.push(message)
	m.passes("shop", tree("shop", digest))
	m.passes("unit")
	h.wantStep(run, "staging", towpath.StepRunning)
	return run
}

// toApproval goes on until people are asked.
func (h *house) toApproval(m *machine, message, digest string) string {
	h.t.Helper()
	run := h.toStaging(m, message, digest)
	m.reaches("shop/staging")
	h.wantStep(run, "release", towpath.StepWaiting)
	return run
}

func TestADecisionIsTakenOnlyFromWhoWasAskedAndOnWhatTheySaw(t *testing.T) {
	t.Parallel()
	h := newHouse(t, shop)
	h.person("ada", "release-managers") // the change's author
	h.person("bob", "testers")
	h.person("mira", "release-managers")
	m := h.newMachine("worker")
	run := h.toApproval(m, "Sell more tea", "aa")

	_, err := h.decide(run, "release", "bob", true)
	wantCode(t, err, towpath.CodeForbidden)
	_, err = h.decide(run, "release", "ada", true)
	wantCode(t, err, towpath.CodeForbidden)
	_, err = h.Decide(t.Context(), run+"/release", "sha256:of-another-page", towpath.Decision{Account: "mira", Approved: true}, unrecorded)
	wantCode(t, err, towpath.CodeStale)
	if a := h.approval(run, "release"); a.State != towpath.ApprovalWaiting || len(a.Decisions) != 0 {
		t.Fatalf("a refused decision left %+v", a)
	}

	if _, err := h.decide(run, "release", "mira", false); err != nil {
		t.Fatal(err)
	}
	_, err = h.decide(run, "release", "mira", true)
	wantCode(t, err, towpath.CodeConflict)
	if step := h.wantStep(run, "release", towpath.StepFailed); step.Reason != "rejected by mira" {
		t.Errorf("the step failed because %q", step.Reason)
	}
	h.wantStep(run, "production", towpath.StepSkipped)
	h.wantRun(run, towpath.RunFailed)
}

func TestAnApprovalExpiresByTheClockAndTheRunStops(t *testing.T) {
	t.Parallel()
	h := newHouse(t, shop)
	h.person("mira", "release-managers")
	m := h.newMachine("worker")
	run := h.toApproval(m, "Sell more tea", "aa")
	h.clock.pass(59 * time.Minute)
	h.pass(59 * time.Second)
	h.wantStep(run, "release", towpath.StepWaiting)
	h.pass(10 * time.Second)
	if step := h.wantStep(run, "release", towpath.StepFailed); step.Reason != "expired after 1h0m0s" {
		t.Errorf("the step failed because %q", step.Reason)
	}
	_, err := h.decide(run, "release", "mira", true)
	wantCode(t, err, towpath.CodeConflict)
	h.wantRun(run, towpath.RunFailed)
}

func TestACanceledRunTakesItsRequestBack(t *testing.T) {
	t.Parallel()
	h := newHouse(t, shop)
	m := h.newMachine("worker")
	run := h.toApproval(m, "Sell more tea", "aa")
	good(h.Cancel(t.Context(), run, flow.Act{By: "bob", Record: unrecorded}))(t)
	h.settle()
	h.wantRun(run, towpath.RunCanceled)
	if a := h.approval(run, "release"); a.State != towpath.ApprovalWithdrawn {
		t.Errorf("the request is %s", a.State)
	}
}

func TestNobodyIsAskedForARunThatWasCanceledBeforeTheyWereAsked(t *testing.T) {
	t.Parallel()
	h := newHouse(t, shop)
	m := h.newMachine("worker")
	run := h.toStaging(m, "Sell more tea", "aa")
	m.reachesUnsettled("shop/staging")
	h.do(h.CarryOut(t.Context(), towpath.TellStep{Deployment: h.deployments("shop/staging")[0]}))
	h.wantStep(run, "release", towpath.StepWaiting) // and nobody was asked yet
	good(h.Cancel(t.Context(), run, flow.Act{By: "bob", Record: unrecorded}))(t)
	// The asking failed once and was put off, so that the withdrawal comes before it.
	h.do(h.Try(t.Context(), store.DueEffect{Effect: towpath.WithdrawApproval{Run: run, Step: "release"}}))
	h.settle()
	h.wantRun(run, towpath.RunCanceled)
	if asked := h.receiver.of(towpath.AlertApproval); len(asked) > 0 {
		t.Errorf("people were asked: %+v", asked)
	}
}

// reachesUnsettled tells that the goal serves, and the server stops before it carries anything out.
func (m *machine) reachesUnsettled(key string) {
	m.t.Helper()
	m.keeps()
	e := m.orders[key].Environment
	good(m.Reported(m.t.Context(), key, flow.Report{Epoch: e.Epoch, Event: func(at time.Time) towpath.EnvironmentEvent {
		return towpath.GoalReached{Epoch: e.Epoch, Deployment: e.Deployment.ID, Returning: e.Deployment.IsReturning(), At: at}
	}}))(m.t)
}

func TestANewerRunSupersedesAnOlderOneAtTheSameGateButNotOneThatDeploys(t *testing.T) {
	t.Parallel()
	h := newHouse(t, shop)
	m := h.newMachine("worker")
	old := h.toApproval(m, "One", "aa")
	deploying := h.toStaging(m, "Two", "bb")
	h.wantRun(old, towpath.RunRunning) // the gate it waits at was not reached by the newer one yet
	m.reaches("shop/staging")
	h.wantStep(deploying, "release", towpath.StepWaiting)
	if r := h.wantRun(old, towpath.RunSuperseded); !strings.Contains(r.Reason, "superseded by run 2") {
		t.Errorf("the old run ended because %q", r.Reason)
	}
	if a := h.approval(old, "release"); a.State != towpath.ApprovalWithdrawn {
		t.Errorf("the old run's request is %s", a.State)
	}
}

func TestAStepWhoseSecretIsNotGrantedFailsVisiblyAndTheNextIsLeased(t *testing.T) {
	t.Parallel()
	h := newHouse(t, `pipeline: shop
steps:
  - {build: first, run: make, secrets: [NPM_TOKEN]}
  - {build: second, run: make, needs: []}
`)
	m := h.newMachine("worker")
	run := h.push("Use a token")
	m.passes("second")
	if step := h.wantStep(run, "first", towpath.StepFailed); !strings.Contains(step.Reason, "there is no secret NPM_TOKEN") {
		t.Errorf("the step failed because %q", step.Reason)
	}
	h.wantRun(run, towpath.RunFailed)
}

func TestASecretThatCannotBeOpenedFailsItsStepOnly(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "pipeline: shop\nsteps:\n  - {build: shop, run: make, secrets: [NPM_TOKEN]}\n")
	h.update(func(tx *store.Tx) error {
		return tx.PutSecret(store.Secret{Project: h.project.ID, Name: "NPM_TOKEN", Sealed: []byte("sealed by another server")})
	})
	run := h.push("Use a token")
	if work := h.newMachine("worker").lease(); work != nil {
		t.Errorf("leased %+v", work)
	}
	if step := h.wantStep(run, "shop", towpath.StepFailed); !strings.Contains(step.Reason, "open secret NPM_TOKEN") {
		t.Errorf("the step failed because %q", step.Reason)
	}
}

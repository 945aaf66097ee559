package flow_test

import (
	"strings"
	"testing"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/flow"
	"github.com/towpath-cd/towpath/internal/store"
)

// closed is a window of an hour that opens in some hours from when the house's clock stands.
func closed(h *house, hours int) string {
	from := h.clock.Now().Add(time.Duration(hours) * time.Hour).UTC().Format("15:00")
	to := h.clock.Now().Add(time.Duration(hours+1) * time.Hour).UTC().Format("15:00")
	return "    windows: {from: \"" + from + "\", to: \"" + to + "\"}\n"
}

// passes lets time go by at once, as it does for a machine that sleeps.
func (h *house) passes(d time.Duration) {
	h.t.Helper()
	h.clock.pass(d)
	for range 2 { // the first takes it for a break, in which leases could not be renewed
		good(h.Sweep(h.t.Context()))(h.t)
	}
	h.settle()
}

// reopen ends the server and starts it again on the same data.
func (h *house) reopen() {
	h.t.Helper()
	h.do(h.store.Close())
	h.open(h.path)
	h.options.Store = h.store
	h.Conductor = flow.New(h.options)
	h.do(h.Resume(h.t.Context()))
}

func TestADeploymentWaitsForItsWindowOverARestartAndBeginsByItself(t *testing.T) {
	t.Parallel()
	h := newHouse(t, straight("staging", ""))
	m := h.newMachine("worker")
	h.deploys(m, "aa", "staging")
	m.reaches("shop/staging")
	h.write("towpath.yaml", straight("staging", closed(h, 5)))
	h.deploys(m, "bb", "staging") // it brings the window, which holds from the next one on
	m.reaches("shop/staging")

	run, step := h.deploys(m, "cc", "staging")
	if step.State != towpath.StepWaiting {
		t.Fatalf("the step is %s: %s", step.State, step.Reason)
	}
	e := h.environment("shop/staging")
	if e.Deployment != nil || len(e.Queue) != 1 || e.OpensAt.IsZero() {
		t.Fatalf("under way is %+v, and %d wait until %s", e.Deployment, len(e.Queue), e.OpensAt)
	}
	h.reopen()
	h.passes(e.OpensAt.Sub(h.clock.Now()) - time.Minute)
	if e := h.environment("shop/staging"); e.Deployment != nil {
		t.Fatal("it has begun before its window")
	}
	h.passes(time.Minute)
	if e := h.environment("shop/staging"); e.Deployment == nil || !e.OpensAt.IsZero() {
		t.Fatalf("it has not begun: %+v", e)
	}
	m.reaches("shop/staging")
	h.wantStep(run, "staging", towpath.StepPassed)
}

func TestAMaintainerLetsADeploymentStartAndTheAuditSaysWhy(t *testing.T) {
	t.Parallel()
	h := newHouse(t, straight("staging", ""))
	m := h.newMachine("worker")
	h.deploys(m, "aa", "staging")
	m.reaches("shop/staging")
	h.write("towpath.yaml", straight("staging", closed(h, 5)))
	h.deploys(m, "bb", "staging")
	m.reaches("shop/staging")
	h.deploys(m, "cc", "staging")

	recorded := 0
	by := flow.Act{By: "mira", Record: func(*store.Tx) error { recorded++; return nil }}
	_, err := h.StartNow(t.Context(), "shop/staging", "", by)
	wantCode(t, err, towpath.CodeInvalid)
	by.Reason = "the checkout is broken"
	d := good(h.StartNow(t.Context(), "shop/staging", "", by))(t)
	if d.State != towpath.DeploymentRunning || d.AllowedBy != "mira" || recorded != 1 {
		t.Errorf("it is %+v, recorded %d times", d, recorded)
	}
	if kept := h.deployments("shop/staging")[0]; kept.AllowedFor != by.Reason {
		t.Errorf("kept is %+v", kept)
	}
	_, err = h.StartNow(t.Context(), "shop/staging", "", by)
	wantCode(t, err, towpath.CodeConflict)
}

func TestAFreezeOfEveryEnvironmentOfANameReachesThoseToCome(t *testing.T) {
	t.Parallel()
	h := newHouse(t, straight("staging", ""))
	m := h.newMachine("worker")
	until := h.clock.Now().Add(time.Hour)
	for _, f := range []towpath.Freeze{
		{Scope: towpath.FreezeName, Of: "staging", By: "mira", Reason: "the fair", Until: until},
		{Scope: towpath.FreezeName, Of: "production", By: "mira"},
		{Scope: towpath.FreezeProject, Of: "another", By: "mira"},
	} {
		h.do(h.FreezeWidely(t.Context(), f, unrecorded))
	}
	_, step := h.deploys(m, "aa", "staging")
	if step.State != towpath.StepFailed || !strings.Contains(step.Reason, "frozen by mira with every staging until ") {
		t.Fatalf("the step is %s: %s", step.State, step.Reason)
	}
	if err := h.FreezeWidely(t.Context(), towpath.Freeze{Scope: towpath.FreezeName, Of: "x", Until: h.clock.Now()}, unrecorded); towpath.CodeOf(err) != towpath.CodeInvalid {
		t.Errorf("a freeze that is over answers %v", err)
	}
	h.passes(time.Hour)
	if e := h.environment("shop/staging"); len(e.Freezes) > 0 {
		t.Errorf("its freezes are %+v", e.Freezes)
	}
	h.view(func(tx *store.Tx) error {
		kept, err := tx.Freezes()
		if len(kept) != 2 {
			t.Errorf("kept are %+v", kept)
		}
		return err
	})
	h.deploys(m, "bb", "staging")
	m.reaches("shop/staging")
}

func TestAProjectIsFrozenAndThawed(t *testing.T) {
	t.Parallel()
	h := newHouse(t, straight("staging", ""))
	m := h.newMachine("worker")
	h.deploys(m, "aa", "staging")
	m.reaches("shop/staging")
	f := towpath.Freeze{Scope: towpath.FreezeProject, Of: "shop", By: "mira"}
	wantCode(t, h.ThawWidely(t.Context(), f, unrecorded), towpath.CodeNotFound)
	h.do(h.FreezeWidely(t.Context(), f, unrecorded))
	_, err := h.Deploy(t.Context(), "shop/staging", 1, flow.Act{By: "bob", Record: unrecorded})
	wantCode(t, err, towpath.CodeConflict)
	h.do(h.ThawWidely(t.Context(), f, unrecorded))
	good(h.Deploy(t.Context(), "shop/staging", 1, flow.Act{By: "bob", Record: unrecorded}))(t)
}

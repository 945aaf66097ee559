package flow_test

import (
	"strings"
	"testing"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/flow"
)

func TestAServerThatWasRestoredDeploysNothingByItself(t *testing.T) {
	t.Parallel()
	h := newHouse(t, shop)
	h.person("mira", "release-managers")
	m := h.newMachine("worker")
	run := h.toApproval(m, "One", "aa")
	h.approve(run, "release", "mira")
	m.reaches("shop/production")
	waiting := h.toApproval(m, "Two", "bb")
	under := h.toStaging(m, "Three", "cc")

	backup := h.clock.Now()
	h.clock.pass(time.Hour)
	restored := good(h.Restore(t.Context(), backup, unrecorded))(t)
	h.settle()
	if len(restored.Environments) != 2 || restored.Runs != 2 {
		t.Errorf("it stopped %+v", restored)
	}
	for _, id := range []string{waiting, under} {
		h.wantRun(id, towpath.RunCanceled)
	}
	for _, key := range restored.Environments {
		e := h.environment(key)
		if !strings.Contains(e.Halted, "restored from its backup of 2026-11-01") || e.Deployment != nil || e.Goal != e.Live {
			t.Errorf("%s is halted by %q, with %+v", key, e.Halted, e.Deployment)
		}
	}

	after := h.push("Four")
	m.passes("shop", tree("shop", "dd"))
	m.passes("unit")
	if step := h.wantStep(after, "staging", towpath.StepFailed); !strings.Contains(step.Reason, "shop/staging is halted") {
		t.Errorf("the deployment is refused because %q", step.Reason)
	}
	if r := h.run(after); r.Number <= 1000 {
		t.Errorf("run %d may have been before", r.Number)
	}

	good(h.Deploy(t.Context(), "shop/production", 1, flow.Act{By: "bob", Record: unrecorded}))(t)
	m.reaches("shop/production")
	if e := h.environment("shop/production"); e.Halted != "" || e.Live.Number != 1 {
		t.Errorf("a person's word left it at release %d, halted by %q", e.Live.Number, e.Halted)
	}
}

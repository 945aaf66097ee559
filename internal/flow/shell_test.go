package flow_test

import (
	"strings"
	"testing"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/flow"
	"github.com/towpath-cd/towpath/internal/store"
)

// shelled is a person's wish for a shell in the place of a step's script.
func shelled(run, step string) flow.Repeat {
	w := again(run, towpath.Again{Step: step})
	w.Shell = &towpath.Shell{Step: step, By: "mira", Idle: time.Minute, Limit: time.Hour}
	return w
}

func TestAShellIsARunOfItsOwnOfWhichOnlyTheAuditTells(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "pipeline: shop\non: {push: {}, manual: true}\nsteps:\n  - {build: shop, run: make}\n")
	run := h.push("Sell more tea")
	m := h.newMachine("worker")
	m.fails("shop")
	_, err := h.Rerun(t.Context(), shelled(run, "shop"))
	wantCode(t, err, towpath.CodeForbidden) // where nothing is said there are none
	h.options.Shells = towpath.ShellsAlways
	h.Conductor = flow.New(h.options)
	h.do(h.Resume(t.Context()))

	made := good(h.Rerun(t.Context(), shelled(run, "shop")))(t)
	work := m.take("shop")
	if work.Run.ID != made.ID || work.Run.Shell == nil || work.Run.Shell.By != "mira" {
		t.Fatalf("%+v", work.Run)
	}
	h.pass(time.Second)
	h.do(m.report(work, towpath.AttemptPassed))
	h.wantRun(made.ID, towpath.RunCanceled)
	h.view(func(tx *store.Tx) error {
		records, err := tx.AuditBefore(0, 10)
		if len(records) != 1 || records[0].Actor != "mira" || records[0].Action != "shell.end" || records[0].Object != "shop #2" ||
			records[0].Detail != "shop for 1s on worker: exit 0" {
			t.Errorf("the audit has %+v", records)
		}
		return err
	})
	for _, wish := range []flow.Repeat{again(made.ID, towpath.Again{}), shelled(made.ID, "shop")} {
		if _, err := h.Rerun(t.Context(), wish); towpath.CodeOf(err) != towpath.CodeConflict || !strings.Contains(err.Error(), "was a debug shell") {
			t.Errorf("%v", err)
		}
	}
	h.view(func(tx *store.Tx) error { // the next run is held against the one before the shell
		next := made
		next.Number++
		state, err := tx.StateBefore(next)
		if state != towpath.RunFailed {
			t.Errorf("before it is %q", state)
		}
		return err
	})
}

package flow_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/store"
)

// following is a pipeline of one step that runs after others.
func following(name string, after ...string) string {
	return fmt.Sprintf("pipeline: %s\non: {pipeline: [%s], manual: false}\nsteps: [{run: %s, script: x}]\n", name, strings.Join(after, ", "), name)
}

// withProject makes another project with a repository of its own, whose only file is that one, and has it looked at.
func (h *house) withProject(name, file string) (revision string) {
	h.t.Helper()
	first, dir := h.project, h.dir
	h.dir = filepath.Join(h.t.TempDir(), name)
	h.project = h.addProject(name, h.dir)
	h.git("init", "-q", "-b", "main")
	h.write("towpath.yaml", file)
	revision = h.commit("Begin with " + name)
	h.poll()
	h.project, h.dir = first, dir
	return revision
}

// of answers the runs of a pipeline, the newest first.
func (h *house) of(pipeline string) (runs []towpath.Run) {
	h.t.Helper()
	for _, run := range h.runs() {
		if run.Pipeline == pipeline {
			runs = append(runs, run)
		}
	}
	return runs
}

func TestAPipelineRunsAfterAnotherHasPassed(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "pipeline: shop\non: {push: {branches: ['**']}}\nsteps: [{run: test, script: x}]\n")
	h.write(".towpath/docs.yaml", following("docs", "shop"))
	h.write(".towpath/more.yaml", following("more", "shop", "elsewhere"))
	elsewhere := h.withProject("elsewhere", following("elsewhere", "shop"))
	m := h.newMachine("worker")

	h.push("Sell more tea")
	first := h.git("rev-parse", "HEAD")
	h.do(m.report(m.take("test"), towpath.AttemptFailed))
	h.take()
	if runs := h.runs(); len(runs) != 1 {
		t.Fatalf("a run that failed is followed: %+v", runs)
	}
	run := h.push("Sell more coffee")
	m.passes("test")
	h.take()
	revision := h.git("rev-parse", "HEAD")
	for pipeline, want := range map[string]string{"docs": revision, "more": revision, "elsewhere": elsewhere} {
		started := h.of(pipeline)
		if len(started) != 1 {
			t.Fatalf("%s has %+v; the changes are %+v", pipeline, started, h.changes())
		}
		if c := started[0].Change; c.Revision != want || c.Upstream != run || c.Trigger != towpath.TriggerPipeline || !c.Trusted || c.Branch != "main" {
			t.Errorf("%s runs %+v after %s", pipeline, c, run)
		}
	}
	h.settle()
	if changes := h.changes(); len(changes) != 6 { // two pushes, that of elsewhere, and three that follow
		t.Errorf("the changes are %+v", changes)
	}

	for range 3 {
		h.do(m.report(m.lease(), towpath.AttemptPassed))
		h.take()
	}
	before := len(h.runs()) // with one more of "more", after elsewhere
	h.git("checkout", "-q", "-b", "idea", first)
	h.push("On a branch")
	m.passes("more")
	m.passes("test")
	h.take()
	if runs := h.runs(); len(runs) != before+1 || runs[0].Change.Branch != "idea" || len(h.of("more")) != 2 {
		t.Errorf("a run of another branch is followed: %+v", runs[0])
	}
}

func TestACircleOfPipelinesIsStopped(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "pipeline: one\non: {push: true, pipeline: three}\nsteps: [{run: one, script: x}]\n")
	h.write(".towpath/two.yaml", following("two", "one"))
	h.write(".towpath/three.yaml", following("three", "two"))
	m := h.newMachine("worker")
	h.push("Go round")
	for _, step := range []string{"one", "two", "three"} {
		m.passes(step)
		h.take()
	}
	change := h.wantChange(store.ChangeIgnored)
	if !strings.Contains(change.Reason, "it would start itself for ever") || !strings.Contains(change.Reason, "one, two, three, one") {
		t.Errorf("the reason is %q", change.Reason)
	}
	if runs := h.runs(); len(runs) != 3 {
		t.Errorf("%d runs", len(runs))
	}
}

func TestAChainOfPipelinesEndsSomewhere(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "pipeline: p0\non: {push: true}\nsteps: [{run: p0, script: x}]\n")
	for n := range 12 {
		h.write(fmt.Sprintf(".towpath/p%d.yaml", n+1), following(fmt.Sprintf("p%d", n+1), fmt.Sprintf("p%d", n)))
	}
	m := h.newMachine("worker")
	h.push("Go on")
	for n := range 10 {
		m.passes(fmt.Sprintf("p%d", n))
		h.take()
	}
	if change := h.wantChange(store.ChangeIgnored); !strings.Contains(change.Reason, "at most 10 pipelines follow each other") {
		t.Errorf("the reason is %q", change.Reason)
	}
	if runs := h.runs(); len(runs) != 10 {
		t.Errorf("%d runs", len(runs))
	}
}

func TestAFollowerIsForgottenWithItsKeyAndWaitsForNobodyWhilePaused(t *testing.T) {
	t.Parallel()
	h := newHouse(t, scripts)
	h.withProject("elsewhere", following("elsewhere", "shop"))
	m := h.newMachine("worker")
	first := h.project
	h.project.ID = "elsewhere"
	h.setProject(func(p *towpath.Project) { p.Paused = true })
	h.project = first
	h.push("Sell more tea")
	m.passes("shop")
	m.passes("publish")
	h.take()
	if runs := h.of("elsewhere"); len(runs) > 0 {
		t.Errorf("a project that is paused runs %+v", runs)
	}
	h.project.ID = "elsewhere"
	h.setProject(func(p *towpath.Project) { p.Paused = false })
	h.dir = h.project.URL
	h.write("towpath.yaml", strings.ReplaceAll(scripts, "shop", "elsewhere"))
	h.commit("Follow nobody")
	h.poll()
	h.project, h.dir = first, first.URL
	h.push("Sell more coffee")
	for work := m.lease(); work != nil; work = m.lease() {
		h.do(m.report(work, towpath.AttemptPassed))
	}
	h.take()
	if runs := h.of("elsewhere"); len(runs) != 1 || runs[0].Change.Trigger != towpath.TriggerPush {
		t.Errorf("what follows nobody any more runs %+v", runs)
	}
}

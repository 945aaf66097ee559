package web_test

import (
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/client"
	"github.com/towpath-cd/towpath/internal/store"
)

// proposed records pull request 7, of a fork, at the newest commit of a project, and answers its change once it is held.
func (h *house) proposed(project string) client.Change {
	h.Helper()
	run := h.run(project)
	known, err := h.owner.Project(h.Context(), project)
	must(h.T, err)
	must(h.T, h.store.Update(h.Context(), func(tx *store.Tx) error {
		_, err := tx.RecordChange(towpath.Change{
			Project: known.ID, Branch: towpath.PullRequestLine(7), Revision: run.Revision, Trigger: towpath.TriggerPullRequest, SeenAt: time.Now(),
			Request: &towpath.PullRequest{Number: 7, Title: "Say more", Author: "mallory", Base: "main", Head: "more", Fork: true, Ref: "refs/heads/main"},
		}, "")
		return err
	}))
	return h.changeIs(project, "held")
}

// changeIs waits until the newest change of a project has an outcome.
func (h *house) changeIs(project, outcome string) (newest client.Change) {
	h.Helper()
	h.until("the change is "+outcome, func() bool {
		changes, err := h.owner.Changes(h.Context(), project)
		must(h.T, err)
		newest = changes[0]
		return newest.Outcome == outcome
	})
	return newest
}

func TestAForksChangeIsLetRunByAMaintainerAndThatIsRecorded(t *testing.T) {
	h := newHouse(t)
	h.group("release-managers")
	h.projectOf("shop", "on: {push: true, pull_request: true}\n")
	held := h.proposed("shop")
	if held.Request == nil || !held.Request.Fork || held.Request.Author != "mallory" || held.Trigger != "pull_request" {
		t.Errorf("the change is %+v", held)
	}
	if _, err := h.person("dora", "deployer", "shop").AllowChange(t.Context(), "shop", held.ID); codeOf(err) != string(towpath.CodeForbidden) {
		t.Errorf("a deployer is answered %v", err)
	}
	cleo := h.person("cleo", "maintainer", "shop")
	if _, err := cleo.AllowChange(t.Context(), "shop", held.ID+1); codeOf(err) != string(towpath.CodeNotFound) {
		t.Errorf("a change that is not there answers %v", err)
	}
	allowed, err := cleo.AllowChange(t.Context(), "shop", held.ID)
	must(t, err)
	if allowed.AllowedBy != "cleo" || allowed.ID != held.ID {
		t.Errorf("it answers %+v", allowed)
	}
	if ran := h.changeIs("shop", "run"); len(ran.Runs) != 1 || ran.AllowedBy != "cleo" {
		t.Errorf("the change is %+v", ran)
	}
	if _, err := cleo.AllowChange(t.Context(), "shop", held.ID); codeOf(err) != string(towpath.CodeConflict) {
		t.Errorf("a second go answers %v", err)
	}
	entries, err := h.owner.Audit(t.Context())
	must(t, err)
	if !slices.ContainsFunc(entries, func(e client.AuditEntry) bool {
		return e.Action == "change.allow" && e.Object == "shop" && e.Detail == strconv.Itoa(held.ID)
	}) {
		t.Errorf("the audit is %+v", entries)
	}
}

func TestChangesAreListedPageByPage(t *testing.T) {
	h := newHouse(t)
	h.project("shop")
	h.project("blog")
	for range 3 {
		h.run("shop")
	}
	h.run("blog")
	dora := h.person("dora", "viewer", "shop")
	page := func(p client.Page) []client.Change {
		t.Helper()
		found, err := dora.ChangePage(t.Context(), "shop", p)
		must(t, err)
		return found
	}
	all := page(client.Page{})
	if len(all) != 3 || all[0].ID <= all[2].ID || all[0].Trigger != "manual" || all[0].By == "" || len(all[0].Runs) != 1 {
		t.Fatalf("listed are %+v", all)
	}
	before := ""
	for _, want := range all {
		found := page(client.Page{Before: before, Limit: 1})
		if len(found) != 1 || found[0].ID != want.ID {
			t.Errorf("after %q comes %+v, not %d", before, found, want.ID)
		}
		before = strconv.Itoa(want.ID)
	}
	if rest := page(client.Page{Before: before}); len(rest) != 0 {
		t.Errorf("after the last one comes %+v", rest)
	}
	for _, p := range []client.Page{{Limit: 501}, {Before: "nothing"}, {Before: "0"}} {
		if _, err := dora.ChangePage(t.Context(), "shop", p); codeOf(err) != string(towpath.CodeInvalid) {
			t.Errorf("%+v answers %v", p, err)
		}
	}
}

func TestARunIsStartedWithInputsThatFitItsFile(t *testing.T) {
	h := newHouse(t)
	h.projectOf("shop", "on: {manual: {inputs: {size: {type: choice, choices: [small, large]}, copies: {type: number, default: 3}}}}\n")
	_, err := h.owner.StartRun(t.Context(), "shop", client.StartRun{Inputs: client.Inputs{"copies": "many", "colour": "red"}})
	if codeOf(err) != string(towpath.CodeInvalid) {
		t.Fatalf("wrong inputs answer %v", err)
	}
	for _, want := range []string{"size has no value", `copies is a number, not "many"`, `no input "colour"`} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("it does not tell %q: %v", want, err)
		}
	}
	if runs, err := h.owner.Runs(t.Context(), client.RunFilter{}); err != nil || len(runs) > 0 {
		t.Errorf("it started %+v, %v", runs, err)
	}
	run, err := h.owner.StartRun(t.Context(), "shop", client.StartRun{Inputs: client.Inputs{"size": "large"}})
	must(t, err)
	if run.Inputs["size"] != "large" || run.Inputs["copies"] != "3" {
		t.Errorf("the run has %v", run.Inputs)
	}
	job := h.worker("north-1").takes("site")
	if job.Inputs["size"] != "large" || job.Trigger != "manual" {
		t.Errorf("its step is leased with %+v", job.StepLease)
	}
	job.ends("passed", "")
	h.asks(h.person("dora", "viewer", "shop").token, "/runs/shop/1").wants(t, 200, "with copies=3, size=large")
}

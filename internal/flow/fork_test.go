package flow_test

import (
	"strings"
	"testing"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/access"
	"github.com/towpath-cd/towpath/internal/approval"
	"github.com/towpath-cd/towpath/internal/flow"
	"github.com/towpath-cd/towpath/internal/store"
)

// reviewed is a pipeline with every kind of step, which takes pull requests that touch the shop.
const reviewed = `pipeline: shop
on:
  push: true
  pull_request: {paths: ["shop/**"]}
steps:
  - build: shop
    run: make
    artifacts: dist/
  - run: publish
    script: ./publish.sh
    secrets: [TOKEN]
    when: trigger == "push"
  - run: preview
    script: ./preview.sh
    when: pull_request == 7 && base == "main"
  - approve: words
    needs: [preview]
    by: release-managers
  - run: say
    needs: [words]
    script: ./say.sh
  - approve: release
    needs: [shop, publish, preview]
    by: release-managers
  - deploy: staging
    needs: [release]
    uses: [shop]
environments:
  staging: {target: {process: {command: ./shop}}}
`

// commitAside makes a commit that no branch holds, but the reference of a pull request does. It begins at the tip.
func (h *house) commitAside(ref, message string) string {
	h.t.Helper()
	h.git("checkout", "-q", "--detach")
	revision := h.commit(message)
	h.git("update-ref", ref, revision)
	h.git("checkout", "-q", "-f", "main")
	return revision
}

// proposes records what a forge tells of pull request 7.
func (h *house) proposes(revision, base string, fork bool) {
	h.t.Helper()
	h.update(func(tx *store.Tx) error {
		_, err := tx.RecordChange(towpath.Change{
			Project: h.project.ID, Branch: towpath.PullRequestLine(7), Revision: revision, Trigger: towpath.TriggerPullRequest,
			SeenAt: h.clock.Now(), Trusted: fork, // what a recorder must never say of a fork
			Request: &towpath.PullRequest{
				Number: 7, Title: "Sell more tea", Author: "mallory", Base: base, Head: "main", Fork: fork, Ref: "refs/pull/7/head",
			},
		}, "")
		return err
	})
	h.take()
	h.settle()
}

// setProject changes the project's settings.
func (h *house) setProject(change func(*towpath.Project)) {
	h.t.Helper()
	h.update(func(tx *store.Tx) error {
		p, version, err := tx.Project(h.project.ID)
		if err != nil {
			return err
		}
		change(&p)
		h.project = p
		return tx.SaveProject(p, version)
	})
}

func allowing(by string) flow.Act { return flow.Act{By: by, Record: unrecorded} }

func TestAPullRequestFromAForkWaitsForAGoEachTime(t *testing.T) {
	t.Parallel()
	h := newHouse(t, reviewed)
	h.poll()
	h.write("shop/tea", "oolong")
	first := h.commitAside("refs/pull/7/head", "Sell oolong")
	h.proposes(first, "main", true)
	held := h.wantChange(store.ChangeHeld)
	for _, want := range []string{"pull request 7 by mallory comes from a fork", "towpath changes allow shop"} {
		if !strings.Contains(held.Reason, want) {
			t.Errorf("the reason is %q", held.Reason)
		}
	}
	if run := h.runOf(first); run.ID != "" {
		t.Fatalf("it runs: %+v", run)
	}
	_, err := h.AllowChange(t.Context(), "another", held.ID, allowing("mira"))
	wantCode(t, err, towpath.CodeNotFound)
	good(h.AllowChange(t.Context(), h.project.ID, held.ID, allowing("mira")))(t)
	h.take()
	if change := h.wantChange(store.ChangeRun); change.AllowedBy != "mira" || len(change.Runs) != 1 {
		t.Errorf("the change is %+v", change)
	}
	_, err = h.AllowChange(t.Context(), h.project.ID, held.ID, allowing("mira"))
	wantCode(t, err, towpath.CodeConflict)
	if runs := len(h.runs()); runs != 2 {
		t.Errorf("%d runs", runs)
	}

	h.write("shop/tea", "puerh")
	second := h.commitAside("refs/pull/7/head", "Sell puerh")
	h.proposes(second, "main", true)
	h.wantChange(store.ChangeHeld)
}

func TestAForkIsBuiltByTheFileOfItsBaseWithoutSecretsAndEnvironments(t *testing.T) {
	t.Parallel()
	h := newHouse(t, reviewed)
	h.setProject(func(p *towpath.Project) { p.Forks = towpath.ForksRun })
	h.update(func(tx *store.Tx) error {
		return h.secrets.Put(tx, h.project.ID, "TOKEN", "hunter2", access.SecretGrant{Branches: []string{"**"}}, h.clock.Now())
	})
	m := h.newMachine("worker")
	h.poll()
	m.passes("shop", tree("shop", "aa"))
	if work := m.take("publish"); work.Secrets["TOKEN"] != "hunter2" {
		t.Errorf("the project's own push has %v", work.Secrets)
	}
	h.write("shop/tea", "oolong")
	h.write("towpath.yaml", "pipeline: shop\non: {pull_request: true}\nsteps: [{run: steal, script: env, secrets: [TOKEN]}]\n")
	revision := h.commitAside("refs/pull/7/head", "Sell oolong")
	h.proposes(revision, "main", true)
	run := h.runOf(revision)
	if _, has := run.Step("steal"); has || run.Change.Trusted {
		t.Fatalf("what the fork says of itself counts: %+v", run)
	}
	if files := run.Change.Files; len(files) != 2 || files[0] != "shop/tea" {
		t.Errorf("its files are %v", files)
	}
	if work := m.take("shop"); work.Run.ID != run.ID || work.Run.Change.Revision != revision {
		t.Errorf("what is built is %+v", work.Run.Change)
	} else {
		h.do(m.report(work, towpath.AttemptPassed, tree("shop", "bb")))
	}
	m.passes("preview")
	h.wantStep(run.ID, "publish", towpath.StepSkipped)
	h.approveAsked(run.ID, "words") // of nothing that is deployed
	m.passes("say")
	for _, step := range []string{"release", "staging"} {
		if s := h.wantStep(run.ID, step, towpath.StepSkipped); !strings.Contains(s.Reason, "a fork is never deployed") {
			t.Errorf("%s: %q", step, s.Reason)
		}
	}
	h.wantRun(run.ID, towpath.RunPassed)
	if releases := h.releases(); len(releases) > 0 {
		t.Errorf("it became releases: %+v", releases)
	}
	definition, _ := run.Environment("staging")
	if barred := approval.BarsBranch(run.Change, definition, towpath.Policy{}); barred == "" {
		t.Error("nothing bars it from an environment")
	}
}

// approveAsked approves what people were asked for.
func (h *house) approveAsked(run, step string) {
	h.t.Helper()
	h.wantStep(run, step, towpath.StepWaiting)
	h.person("nora", "release-managers")
	h.approve(run, step, "nora")
}

func TestASecretIsRefusedToAForkWhateverItsGrant(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "pipeline: shop\non: {push: true, pull_request: true}\nsteps: [{run: publish, script: x, secrets: [TOKEN]}]\n")
	h.setProject(func(p *towpath.Project) { p.Forks = towpath.ForksRun })
	h.update(func(tx *store.Tx) error {
		return h.secrets.Put(tx, h.project.ID, "TOKEN", "hunter2", access.SecretGrant{Branches: []string{"**", "pull/7"}}, h.clock.Now())
	})
	h.poll()
	m := h.newMachine("worker")
	m.passes("publish")
	revision := h.commitAside("refs/pull/7/head", "From a fork")
	h.proposes(revision, "main", true)
	if work := m.lease(); work != nil {
		t.Fatalf("leased %+v", work)
	}
	if s := h.wantStep(h.runOf(revision).ID, "publish", towpath.StepFailed); !strings.Contains(s.Reason, "TOKEN is not for pull requests from forks") {
		t.Errorf("it failed because %q", s.Reason)
	}
	h.proposes(h.commitAside("refs/pull/7/head", "From the repository itself"), "main", false)
	if work := m.take("publish"); work.Secrets["TOKEN"] != "hunter2" {
		t.Errorf("one of the repository's own has %v", work.Secrets)
	}
}

func TestTheFileOfAForkIsReadWherePeopleWhoMayPushWroteIt(t *testing.T) {
	t.Parallel()
	step := func(name string) string {
		return "pipeline: shop\non: {pull_request: {branches: ['**']}}\nsteps: [{run: " + name + ", script: x}]\n"
	}
	h := newHouse(t, step("of-main"))
	h.setProject(func(p *towpath.Project) { p.Forks, p.Protected = towpath.ForksRun, []string{"release/*"} })
	for _, branch := range []string{"release/1", "idea"} {
		h.git("checkout", "-q", "-b", branch)
		h.write("towpath.yaml", step(strings.ReplaceAll("of-"+branch, "/", "-")))
		h.commit("Another file")
		h.git("checkout", "-q", "main")
	}
	h.write("towpath.yaml", step("of-the-fork"))
	h.write("tea", "oolong")
	for base, want := range map[string]string{"main": "of-main", "release/1": "of-release-1", "idea": "of-main", "gone": "of-main"} {
		h.write("towpath.yaml", step("of-the-fork"))
		revision := h.commitAside("refs/pull/7/head", "To "+base)
		h.proposes(revision, base, true)
		if run := h.runOf(revision); len(run.Steps) != 1 || run.Steps[0].Name != want {
			t.Errorf("to %s: %+v of %+v", base, run.Steps, h.changes()[0])
		}
	}
	h.write("towpath.yaml", step("of-itself"))
	revision := h.commitAside("refs/pull/7/head", "From the repository itself")
	h.proposes(revision, "main", false)
	if run := h.runOf(revision); len(run.Steps) != 1 || run.Steps[0].Name != "of-itself" || run.Change.Trusted {
		t.Errorf("one of the repository's own: %+v", run)
	}
}

func TestAForkThatIsNotWantedOrTouchesNothingIsIgnored(t *testing.T) {
	t.Parallel()
	h := newHouse(t, reviewed)
	h.poll()
	h.write("docs/tea", "oolong")
	h.proposes(h.commitAside("refs/pull/7/head", "Write about tea"), "main", true)
	if change := h.wantChange(store.ChangeIgnored); !strings.Contains(change.Reason, "pull request 7 to main") {
		t.Errorf("the reason is %q", change.Reason)
	}
	h.setProject(func(p *towpath.Project) { p.Forks = towpath.ForksIgnore })
	h.write("shop/tea", "oolong")
	h.proposes(h.commitAside("refs/pull/7/head", "Sell oolong"), "main", true)
	if change := h.wantChange(store.ChangeIgnored); !strings.Contains(change.Reason, "pull requests from forks start nothing here") {
		t.Errorf("the reason is %q", change.Reason)
	}
}

func TestTheFilesOfAPullRequestAreThoseSinceItLeftItsBase(t *testing.T) {
	t.Parallel()
	h := newHouse(t, reviewed)
	h.write("shop/tea", "oolong")
	h.git("checkout", "-q", "-b", "idea")
	h.commit("Sell oolong")
	h.write("docs/tea", "about it")
	revision := h.commit("Write about it")
	h.git("checkout", "-q", "main")
	h.write("shop/coffee", "beans")
	h.commit("Sell coffee")
	h.poll()
	h.proposes(revision, "main", false)
	files := strings.Join(h.runOf(revision).Change.Files, " ")
	if files != "docs/tea shop/tea" {
		t.Errorf("its files are %q: %+v", files, h.changes()[0])
	}
	h.git("checkout", "-q", "--orphan", "elsewhere")
	orphan := h.commit("Begin anew")
	h.git("checkout", "-q", "-f", "main")
	h.proposes(orphan, "main", false)
	if run := h.runOf(orphan); run.ID == "" || run.Change.Files != nil {
		t.Errorf("with nothing in common: %+v of %+v", run.Change, h.changes()[0])
	}
}

func TestATagStartsWhatNamesIt(t *testing.T) {
	t.Parallel()
	h := newHouse(t, `pipeline: shop
on: {push: true, tag: "v*"}
steps:
  - {run: test, script: x}
  - {run: publish, script: x, when: tag == "v1"}
`)
	wants := func() (wants bool) {
		h.view(func(tx *store.Tx) (err error) {
			wants, err = tx.WantsTags(h.project.ID)
			return err
		})
		return wants
	}
	if wants() {
		t.Error("the repository is asked for tags before anything starts by one")
	}
	revision := h.push("Sell more tea")
	if !wants() {
		t.Error("the repository is not asked for tags")
	}
	tagged := h.run(revision).Change
	tagged.Trigger, tagged.Files, tagged.Trusted = towpath.TriggerTag, nil, false
	for tag, want := range map[string]towpath.StepState{"v1": towpath.StepPending, "v2": towpath.StepPending, "x1": ""} {
		tagged.Branch = towpath.TagLine(tag)
		h.update(func(tx *store.Tx) error {
			_, err := tx.RecordChange(tagged, "")
			return err
		})
		h.take()
		if want == "" {
			if change := h.wantChange(store.ChangeIgnored); !strings.Contains(change.Reason, "the tag x1") {
				t.Errorf("the reason is %q", change.Reason)
			}
			continue
		}
		run := h.run(h.wantChange(store.ChangeRun).Runs[0])
		publish, _ := run.Step("publish")
		if run.Change.Tag() != tag || (publish.Excluded == "") != (tag == "v1") {
			t.Errorf("%s: %+v", tag, run)
		}
	}
	h.write("towpath.yaml", scripts)
	h.push("No more tags")
	if wants() {
		t.Error("the repository is asked for tags that start nothing any more")
	}
}

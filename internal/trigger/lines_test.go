package trigger_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/store"
	"github.com/towpath-cd/towpath/internal/trigger"
)

// last answers the newest change.
func (w *watched) last() towpath.Change {
	w.t.Helper()
	changes := w.seen()
	return changes[len(changes)-1]
}

func TestATagIsAChangeOnceTagsAreWanted(t *testing.T) {
	w := watch(t)
	first := w.git("rev-parse", "HEAD")
	w.git("tag", "v1")
	w.poll()
	w.tags = true
	w.git("tag", "v2")
	w.poll() // what is there when tags are looked at first makes no change
	w.wantLast(1, "main", first, "", true)
	w.git("tag", "-a", "v3", "-m", "third")
	w.poll()
	w.wantLast(2, "tags/v3", first, "", false)
	if c := w.last(); c.Trigger != towpath.TriggerTag || c.Tag() != "v3" {
		t.Errorf("the tag is %+v", c)
	}
	w.git("tag", "-a", "-f", "v3", "-m", "other words, same commit")
	w.poll()
	w.wantLast(2, "tags/v3", first, "", false)
	second := w.commit("second")
	w.git("tag", "-f", "v3")
	w.poll()
	w.wantLast(4, "tags/v3", second, first, false)
	w.git("tag", "-f", "v3", first)
	w.poll()
	w.wantLast(5, "tags/v3", first, second, false)
	w.git("tag", "-d", "v3")
	w.tags = false
	w.poll()
	for line := range w.heads() {
		if towpath.IsLine(line) {
			t.Errorf("%q is remembered though nobody wants tags", line)
		}
	}
	w.git("tag", "v4")
	w.tags = true
	w.poll()
	w.wantLast(5, "tags/v3", first, second, false)
}

func TestABranchThatCouldPassForATagOrAPullRequestMakesNoChange(t *testing.T) {
	w := watch(t)
	tip := w.git("rev-parse", "HEAD")
	w.tags = true
	w.poll()
	w.commit("second")
	w.git("branch", "tags/v9")
	w.git("branch", "pull/7")
	w.poll()
	if c := w.seen(); len(c) != 2 || c[1].Branch != "main" {
		t.Errorf("the changes are %+v", c)
	}
	w.git("tag", "v9", tip)
	w.poll()
	w.wantLast(3, "tags/v9", tip, "", false)
	if _, _, err := w.read.Resolve(t.Context(), w.project, "tags/v9", ""); towpath.CodeOf(err) != towpath.CodeNotFound {
		t.Errorf("a branch passes for a tag: %v", err)
	}
}

func TestABranchThatComesBackToAnOldCommitRunsAgain(t *testing.T) {
	w := watch(t)
	a := w.git("rev-parse", "HEAD")
	w.poll()
	b := w.commit("second")
	w.poll()
	for round := range 3 {
		w.git("reset", "-q", "--hard", a)
		w.poll()
		w.wantLast(3+2*round, "main", a, b, true)
		w.poll()
		w.wantLast(3+2*round, "main", a, b, true)
		w.git("reset", "-q", "--hard", b)
		w.poll()
		w.wantLast(4+2*round, "main", b, a, true)
	}
}

func TestWhatAWebhookToldMeanwhileIsNoMoveBack(t *testing.T) {
	w := watch(t)
	a := w.git("rev-parse", "HEAD")
	w.poll()
	// The repository is asked while main stands at a; before that is recorded, a webhook tells of b.
	b := strings.Repeat("b", 40)
	w.do(w.poller.PollMeanwhile(t.Context(), w.project, func() {
		w.do(w.store.Update(t.Context(), func(tx *store.Tx) error {
			c := towpath.Change{Project: "shop", Branch: "main", Revision: b, Before: a, Trigger: towpath.TriggerPush, SeenAt: w.now}
			if _, err := tx.RecordChange(c, ""); err != nil {
				return err
			}
			return tx.SaveHead("shop", "main", b, c.SeenAt)
		}))
	}))
	w.wantLast(2, "main", b, a, false)
	if w.heads()["main"] != b {
		t.Errorf("the heads are %v", w.heads())
	}
}

func TestWhatIsTrusted(t *testing.T) {
	w := watch(t)
	w.commit("towpath.yaml")
	w.project.Protected = []string{"release/**", "pull/**", "tags/**"}
	onMain := w.git("rev-parse", "HEAD")
	w.git("tag", "v1")
	w.git("checkout", "-q", "-b", "release/1")
	aside := w.commit("aside")
	w.git("tag", "v2")
	w.git("checkout", "-q", "main")
	for _, c := range []struct {
		branch, revision string
		want             bool
	}{
		{"main", onMain, true},
		{"release/1", aside, true},
		{"idea", aside, false},
		{"tags/v1", onMain, true},
		{"tags/v2", aside, false},
		{"pull/7", onMain, false},
	} {
		change := towpath.Change{Project: "shop", Branch: c.branch, Revision: c.revision, Trusted: !c.want}
		if c.branch == "pull/7" {
			change.Request = &towpath.PullRequest{Number: 7, Base: "main", Ref: "refs/pull/7/head"}
		}
		read, _, err := w.read.Read(t.Context(), w.project, change)
		if err != nil || read.Trusted != c.want {
			t.Errorf("%s at %s is trusted: %t, %v", c.branch, c.revision, read.Trusted, err)
		}
	}
	w.git("merge", "-q", "release/1") // the mirror learns of it when it is asked about the tag
	read, _, err := w.read.Read(t.Context(), w.project, towpath.Change{Project: "shop", Branch: "tags/v2", Revision: aside})
	if err != nil || !read.Trusted {
		t.Errorf("a tag that was merged is trusted: %t, %v", read.Trusted, err)
	}
	if trigger.IsProtected(w.project, "") || trigger.IsProtected(w.project, "pull/9") || !slices.Contains(w.project.Protected, "pull/**") {
		t.Error("a pull request's line is protected by a glob")
	}
}

func TestACommitOfAPullRequestIsFetchedByItsReference(t *testing.T) {
	w := watch(t)
	w.git("checkout", "-q", "-b", "idea")
	w.commit("towpath.yaml")
	proposed := w.git("rev-parse", "HEAD")
	w.git("checkout", "-q", "main")
	w.git("branch", "-q", "-D", "idea")
	w.git("update-ref", "refs/pull/7/head", proposed)
	change := towpath.Change{
		Project: "shop", Branch: "pull/7", Revision: proposed, Trigger: towpath.TriggerPullRequest,
		Request: &towpath.PullRequest{Number: 7, Base: "main", Ref: "refs/pull/7/head"},
	}
	if _, files, err := w.read.Read(t.Context(), w.project, change); err != nil || len(files) != 1 {
		t.Errorf("the pipelines are %v, %v", files, err)
	}
	change.Request.Ref = "--upload-pack=touch /tmp/x"
	change.Revision = strings.Repeat("1", 40)
	if _, _, err := w.read.Read(t.Context(), w.project, change); towpath.CodeOf(err) != towpath.CodeInvalid {
		t.Errorf("a reference that is an option gave %v", err)
	}
}

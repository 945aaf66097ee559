package trigger_test

import (
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/git"
	"github.com/towpath-cd/towpath/internal/store"
	"github.com/towpath-cd/towpath/internal/store/storetest"
	"github.com/towpath-cd/towpath/internal/trigger"
)

// watched is a real repository that a poller asks by hand, under a clock of its own.
type watched struct {
	t       testing.TB
	store   *store.Store
	poller  *trigger.Poller
	read    *trigger.Repositories
	project towpath.Project
	now     time.Time
	rung    int
	tags    bool // the project's pipelines want them
}

func watch(t testing.TB) *watched {
	t.Helper()
	w := &watched{t: t, now: time.Date(2026, 11, 1, 9, 0, 0, 0, time.UTC)}
	folder := t.TempDir()
	w.store = storetest.Open(t, filepath.Join(folder, "towpath.db"))
	w.read = trigger.NewRepositories(must(git.New(git.Options{}))(t), filepath.Join(folder, "mirrors"))
	w.poller = trigger.NewPoller(trigger.PollerOptions{
		Store: w.store, Repositories: w.read, Recorded: func() { w.rung++ }, Clock: func() time.Time { return w.now },
		Tags: func(id string) bool { return w.tags && id == "shop" }, Log: slog.New(slog.DiscardHandler),
	})
	w.project = towpath.Project{ID: "shop", Name: "shop", URL: filepath.Join(folder, "shop"), DefaultBranch: "main", Poll: time.Minute}
	w.add(w.project)
	w.do(os.Mkdir(w.project.URL, 0o755))
	w.git("init", "-q", "-b", "main")
	w.commit("begin")
	return w
}

func (w *watched) add(p towpath.Project) {
	w.t.Helper()
	w.do(w.store.Update(w.t.Context(), func(tx *store.Tx) error { return tx.CreateProject(p) }))
}

func (w *watched) git(args ...string) string {
	w.t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir = w.project.URL
	cmd.Env = append(os.Environ(), "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL="+os.DevNull,
		"GIT_AUTHOR_NAME=Ada", "GIT_AUTHOR_EMAIL=ada@example.com", "GIT_COMMITTER_NAME=Ada", "GIT_COMMITTER_EMAIL=ada@example.com")
	out, err := cmd.CombinedOutput()
	if err != nil {
		w.t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

func (w *watched) commit(file string) string {
	w.t.Helper()
	w.do(os.WriteFile(filepath.Join(w.project.URL, file), []byte(file), 0o644))
	w.git("add", "-A")
	w.git("commit", "-q", "--allow-empty", "-m", "Add "+file)
	return w.git("rev-parse", "HEAD")
}

func (w *watched) poll() {
	w.t.Helper()
	w.now = w.now.Add(time.Second)
	w.do(w.poller.Poll(w.t.Context(), w.project))
}

// begin is the start of a poller, and the time after which all its projects are due.
func (w *watched) begin() {
	w.t.Helper()
	w.do(w.poller.Begin(w.t.Context()))
	w.now = w.now.Add(time.Minute)
}

// seen answers the changes so far: branch and revision, oldest first.
func (w *watched) seen() (changes []towpath.Change) {
	w.t.Helper()
	w.do(w.store.View(w.t.Context(), func(tx *store.Tx) error {
		found, err := tx.Changes(store.ChangeFilter{})
		for _, c := range found {
			changes = append([]towpath.Change{c.Change}, changes...)
		}
		return err
	}))
	return changes
}

func (w *watched) heads() (heads map[string]string) {
	w.t.Helper()
	w.do(w.store.View(w.t.Context(), func(tx *store.Tx) (err error) {
		heads, err = tx.Heads("shop")
		return err
	}))
	return heads
}

// wantLast fails unless there are so many changes and the last is this one.
func (w *watched) wantLast(count int, branch, revision, before string, trusted bool) {
	w.t.Helper()
	changes := w.seen()
	if len(changes) != count {
		w.t.Fatalf("%d changes, want %d: %+v", len(changes), count, changes)
	}
	if c := changes[count-1]; c.Branch != branch || c.Revision != revision || c.Before != before || c.Trusted != trusted {
		w.t.Errorf("the last change is %+v", c)
	}
}

func (w *watched) do(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func must[T any](value T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
}

func TestANewProjectHasOneChangeAndNotOneForEachOldBranch(t *testing.T) {
	w := watch(t)
	tip := w.git("rev-parse", "HEAD")
	w.git("branch", "old")
	w.poll()
	w.wantLast(1, "main", tip, "", true)
	if len(w.heads()) != 2 || w.rung != 1 {
		t.Errorf("heads %v, rung %d times", w.heads(), w.rung)
	}
	w.poll()
	w.wantLast(1, "main", tip, "", true)
	if w.rung != 1 {
		t.Error("it rang although nothing is new")
	}
}

func TestEachBranchThatMovedIsAChange(t *testing.T) {
	w := watch(t)
	w.poll()
	first := w.git("rev-parse", "HEAD")
	second := w.commit("second")
	w.poll()
	w.wantLast(2, "main", second, first, true)
	w.git("checkout", "-q", "-b", "idea")
	third := w.commit("third")
	w.poll()
	w.wantLast(3, "idea", third, "", false)
}

func TestAForcePushIsAChangeAndADeletedBranchIsForgotten(t *testing.T) {
	w := watch(t)
	w.poll()
	w.git("checkout", "-q", "-b", "idea")
	first := w.commit("first")
	w.poll()
	w.git("reset", "-q", "--hard", "main")
	second := w.commit("second")
	w.poll()
	w.wantLast(3, "idea", second, first, false)
	w.git("checkout", "-q", "main")
	w.git("branch", "-q", "-D", "idea")
	w.poll()
	w.wantLast(3, "idea", second, first, false)
	if _, known := w.heads()["idea"]; known {
		t.Errorf("the heads are %v", w.heads())
	}
	w.git("checkout", "-q", "-b", "idea", second)
	w.poll()
	w.wantLast(3, "idea", second, first, false) // the same commit of the same branch has had its run
}

func TestWhatIsReadOfAChangeIsItsCommitItsFilesAndItsPipelines(t *testing.T) {
	w := watch(t)
	before := w.git("rev-parse", "HEAD")
	w.do(os.Mkdir(filepath.Join(w.project.URL, ".towpath"), 0o755))
	w.commit(".towpath/docs.yaml")
	w.commit(".towpath/notes.txt")
	tip := w.commit("towpath.yaml")
	change, files, err := w.read.Read(t.Context(), w.project, towpath.Change{Branch: "main", Revision: tip, Before: before})
	if err != nil {
		t.Fatal(err)
	}
	if change.Author != "Ada" || change.AuthorEmail != "ada@example.com" || change.Title() != "Add towpath.yaml" || len(change.Files) != 3 {
		t.Errorf("the change is %+v", change)
	}
	want := map[string]bool{"towpath.yaml": true, ".towpath/docs.yaml": true}
	for name := range maps.Keys(files) {
		if !want[name] {
			t.Errorf("%s is no pipeline file", name)
		}
	}
	if len(files) != 2 {
		t.Errorf("the pipeline files are %v", files)
	}
	gone := strings.Repeat("1", 40) // what was there before the force-push is not to be had any more
	if change, _, err = w.read.Read(t.Context(), w.project, towpath.Change{Revision: tip, Before: gone}); err != nil || change.Files != nil {
		t.Errorf("after a rewrite the files are %v, %v", change.Files, err)
	}
	_, _, err = w.read.Read(t.Context(), w.project, towpath.Change{Revision: gone})
	if towpath.CodeOf(err) != towpath.CodeNotFound {
		t.Errorf("a revision that is gone is %v", err)
	}
}

func TestARevisionCountsOnlyOnABranchThatHoldsIt(t *testing.T) {
	w := watch(t)
	first := w.git("rev-parse", "HEAD")
	tip := w.commit("second")
	w.git("checkout", "-q", "-b", "idea")
	foreign := w.commit("third")
	for _, c := range []struct {
		branch, revision, want string
		code                   towpath.Code
	}{
		{"", "", tip, ""},
		{"main", first, first, ""},
		{"idea", first, first, ""},
		{"main", foreign, "", towpath.CodeInvalid},
		{"main", "HEAD~1", "", towpath.CodeInvalid},
		{"mian", "", "", towpath.CodeNotFound},
		{"main", strings.Repeat("1", 40), "", towpath.CodeInvalid},
	} {
		_, got, err := w.read.Resolve(t.Context(), w.project, c.branch, c.revision)
		if err == nil && (c.code != "" || got != c.want) || err != nil && towpath.CodeOf(err) != c.code {
			t.Errorf("%q at %q is %q, %v", c.branch, c.revision, got, err)
		}
	}
}

func TestARepositoryThatDoesNotAnswerIsAskedLessAndLessOften(t *testing.T) {
	w := watch(t)
	var asked atomic.Int32
	forge := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		http.Error(rw, "try later", http.StatusServiceUnavailable)
	}))
	t.Cleanup(forge.Close)
	away := towpath.Project{ID: "away", Name: "away", URL: forge.URL + "/away.git", DefaultBranch: "main", Poll: time.Minute}
	w.add(away)
	_, _, err := w.read.Tips(t.Context(), away)
	if towpath.CodeOf(err) != towpath.CodeUnavailable || !strings.Contains(err.Error(), "asked again") {
		t.Errorf("a forge that is down is %v", err)
	}
	var pauses []time.Duration
	w.begin()
	for range 8 {
		must(w.poller.RunOnce(t.Context()))(t)
		pause := w.poller.NextPoll(away).Sub(w.now)
		pauses = append(pauses, pause)
		w.now = w.now.Add(pause)
	}
	for i, pause := range pauses {
		want := min(30*time.Minute, time.Minute<<(i+1))
		if pause < want*9/10 || pause > want*11/10 {
			t.Errorf("pause %d is %s, want about %s", i, pause, want)
		}
	}
	if len(w.seen()) != 1 {
		t.Errorf("the repository beside it had %d changes", len(w.seen()))
	}
}

func TestAClockThatWasSetBackHoldsUpNoPoll(t *testing.T) {
	w := watch(t)
	w.begin()
	must(w.poller.RunOnce(t.Context()))(t)
	w.now = w.now.Add(-24 * time.Hour)
	must(w.poller.RunOnce(t.Context()))(t)
	if wait := w.poller.NextPoll(w.project).Sub(w.now); wait > 2*w.project.Poll {
		t.Errorf("the next poll is in %s", wait)
	}
}

func TestAPushAfterTheClockWasSetBackIsSeen(t *testing.T) {
	w := watch(t)
	w.poll()
	first := w.git("rev-parse", "HEAD")
	w.now = w.now.Add(-24 * time.Hour)
	second := w.commit("second")
	w.poll()
	w.wantLast(2, "main", second, first, true)
}

func TestPausedAndUnpolledProjectsAreLeftAlone(t *testing.T) {
	w := watch(t)
	for _, p := range []towpath.Project{
		{ID: "paused", Name: "paused", URL: w.project.URL, DefaultBranch: "main", Poll: time.Minute, Paused: true},
		{ID: "manual", Name: "manual", URL: w.project.URL, DefaultBranch: "main"},
	} {
		w.add(p)
	}
	w.begin()
	must(w.poller.RunOnce(t.Context()))(t)
	if len(w.seen()) != 1 {
		t.Errorf("the changes are %+v", w.seen())
	}
	for _, c := range w.seen() {
		if c.Project != "shop" {
			t.Errorf("%s was asked", c.Project)
		}
	}
}

func TestAStartedPollerSeesAPushByItself(t *testing.T) {
	w := watch(t)
	recorded := make(chan bool, 1)
	poller := trigger.NewPoller(trigger.PollerOptions{
		Store: w.store, Repositories: w.read, Recorded: func() { recorded <- true }, Clock: time.Now, Log: slog.New(slog.DiscardHandler),
	})
	poller.Start()
	t.Cleanup(poller.Stop)
	select {
	case <-recorded:
	case <-time.After(20 * time.Second):
		t.Fatal("nothing was recorded")
	}
	poller.Stop()
	poller.Stop() // twice is no error
}

package flow_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/access"
	"github.com/towpath-cd/towpath/internal/alert"
	"github.com/towpath-cd/towpath/internal/artifact"
	"github.com/towpath-cd/towpath/internal/flow"
	"github.com/towpath-cd/towpath/internal/git"
	"github.com/towpath-cd/towpath/internal/secret"
	"github.com/towpath-cd/towpath/internal/steplog"
	"github.com/towpath-cd/towpath/internal/store"
	"github.com/towpath-cd/towpath/internal/store/storetest"
	"github.com/towpath-cd/towpath/internal/trigger"
)

// house is a server without its HTTP: everything in it is real but the clock, and the story says when each loop of the
// conductor has a round.
type house struct {
	t testing.TB
	*flow.Conductor
	options   flow.Options
	store     *store.Store
	hub       *flow.Hub
	secrets   *access.Secrets
	logs      *steplog.Store
	artifacts *artifact.Store
	receiver  *receiver
	poller    *trigger.Poller
	project   towpath.Project
	path      string // of the database
	dir       string // of the repository
	clock     *clock
	ids       atomic.Int64
}

// clock is the only thing that is not real.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// keep is how long the house of a story keeps things.
var keep = flow.Keep{Runs: 96 * time.Hour, Logs: 48 * time.Hour, Artifacts: 24 * time.Hour, Deliveries: 24 * time.Hour}

// newHouse makes a server with one project, whose repository holds a pipeline file.
func newHouse(t testing.TB, pipeline string) *house {
	t.Helper()
	h := &house{t: t, receiver: newReceiver(t), clock: &clock{now: time.Date(2026, 11, 1, 9, 0, 0, 0, time.UTC)}}
	folder := t.TempDir()
	quiet := slog.New(slog.DiscardHandler)
	h.path = filepath.Join(folder, "towpath.db")
	h.store = storetest.Open(t, h.path)
	keys := good(secret.LoadOrCreate(filepath.Join(folder, "secret.key")))(t)
	h.secrets = access.NewSecrets(keys)
	h.logs = good(steplog.NewStore(filepath.Join(folder, "logs")))(t)
	t.Cleanup(func() { _ = h.logs.Close() })
	h.artifacts = good(artifact.OpenStore(filepath.Join(folder, "artifacts"), artifact.Options{Log: quiet, Now: h.clock.Now}))(t)
	t.Cleanup(h.artifacts.Close)
	repositories := trigger.NewRepositories(good(git.New(git.Options{}))(t), filepath.Join(folder, "mirrors"))
	h.hub = flow.NewHub()
	h.options = flow.Options{
		Store: h.store, Hub: h.hub, Repositories: repositories, Secrets: granted{h.secrets},
		Announcer: alert.NewDesk(h.clock.Now, quiet, alert.NewWebhook(h.receiver.URL, "")),
		Logs:      h.logs, Artifacts: h.artifacts, Keep: keep, Clock: h.clock.Now, NewID: h.newID, Log: quiet,
	}
	h.Conductor = flow.New(h.options)
	h.poller = trigger.NewPoller(trigger.PollerOptions{
		Store: h.store, Repositories: repositories, Recorded: h.ChangesRecorded, Clock: h.clock.Now, Log: quiet,
	})
	h.do(h.Resume(t.Context()))
	h.dir = filepath.Join(folder, "shop")
	h.project = h.addProject("shop", h.dir)
	h.git("init", "-q", "-b", "main")
	h.write("towpath.yaml", pipeline)
	h.commit("begin")
	return h
}

// open opens a database that is there already.
func (h *house) open(path string) {
	h.t.Helper()
	h.path = path
	h.store = good(store.Open(h.t.Context(), store.Options{Path: path, Log: slog.New(slog.DiscardHandler)}))(h.t)
	h.t.Cleanup(func() { _ = h.store.Close() })
}

func (h *house) newID() string { return fmt.Sprintf("id%d", h.ids.Add(1)) }

func (h *house) addProject(name, dir string) towpath.Project {
	h.t.Helper()
	h.do(os.MkdirAll(dir, 0o755))
	p := towpath.Project{ID: name, Name: name, URL: dir, DefaultBranch: "main", Poll: time.Minute}
	h.update(func(tx *store.Tx) error { return tx.CreateProject(p) })
	return p
}

// granted answers secrets as the wiring does.
type granted struct{ *access.Secrets }

func (g granted) ForStep(tx *store.Tx, run towpath.Run, step towpath.Step) (access.Given, error) {
	use := access.Use{
		Project: run.Project, Branch: run.Change.Branch, Trusted: run.Change.Trusted, Fork: run.Change.IsFromFork(),
	}
	return g.Open(tx, use, step.Script.Secrets)
}

func (g granted) ForEnvironment(tx *store.Tx, e towpath.Environment) (access.Given, error) {
	return g.Open(tx, access.Use{Project: e.Project, Environment: e.Name, Instances: true, Trusted: true}, e.Definition.Secrets)
}

// The repository.

func (h *house) git(args ...string) string {
	h.t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir = h.dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL="+os.DevNull,
		"GIT_AUTHOR_NAME=Ada", "GIT_AUTHOR_EMAIL=ada@example.com",
		"GIT_COMMITTER_NAME=Ada", "GIT_COMMITTER_EMAIL=ada@example.com")
	out, err := cmd.CombinedOutput()
	if err != nil {
		h.t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

func (h *house) write(file, content string) {
	h.t.Helper()
	path := filepath.Join(h.dir, file)
	h.do(os.MkdirAll(filepath.Dir(path), 0o755))
	h.do(os.WriteFile(path, []byte(content), 0o644))
}

// commit answers the revision.
func (h *house) commit(message string) string {
	h.t.Helper()
	h.git("add", "-A")
	h.git("commit", "-q", "--allow-empty", "-m", message)
	return h.git("rev-parse", "HEAD")
}

// push commits, and carries the change as far as it comes without a worker. It answers the run.
func (h *house) push(message string) string {
	h.t.Helper()
	revision := h.commit(message)
	h.poll()
	run := h.runOf(revision)
	if run.ID == "" {
		h.t.Fatalf("the push %q made no run: %+v", message, h.changes())
	}
	return run.ID
}

// poll asks the repository, looks at what is new, and carries out what follows.
func (h *house) poll() {
	h.t.Helper()
	h.do(h.poller.Poll(h.t.Context(), h.project))
	h.take()
	h.settle()
}

func (h *house) take() {
	h.t.Helper()
	for more := true; more; {
		more = good(h.TakeChanges(h.t.Context()))(h.t)
	}
}

// settle carries out effects until none is left that is due.
func (h *house) settle() {
	h.t.Helper()
	for range 20 {
		before := h.owed()
		for _, round := range []func(context.Context) (bool, error){h.CarryOutDue, h.AnnounceDue} {
			good(round(h.t.Context()))(h.t)
		}
		if h.owed() == before {
			return
		}
	}
	h.t.Fatal("effects do not come to an end")
}

// owed is how many effects have been added or wait.
func (h *house) owed() string {
	h.t.Helper()
	var keys []string
	h.view(func(tx *store.Tx) error {
		due, err := tx.DueEffects(h.clock.Now(), 0)
		for _, d := range due {
			keys = append(keys, d.Effect.Key())
		}
		return err
	})
	return strings.Join(keys, "\n")
}

// pass lets time go by as it does: the sweeper looks every second.
func (h *house) pass(d time.Duration) {
	h.t.Helper()
	for d > 0 {
		second := min(d, time.Second)
		h.clock.pass(second)
		good(h.Sweep(h.t.Context()))(h.t)
		d -= second
	}
	h.settle()
}

// What is stored.

func (h *house) view(fn func(*store.Tx) error) {
	h.t.Helper()
	h.do(h.store.View(h.t.Context(), fn))
}

func (h *house) update(fn func(*store.Tx) error) {
	h.t.Helper()
	h.do(h.store.Update(h.t.Context(), fn))
}

func (h *house) run(id string) (run towpath.Run) {
	h.t.Helper()
	h.view(func(tx *store.Tx) (err error) {
		run, _, err = tx.Run(id)
		return err
	})
	return run
}

func (h *house) runs() (runs []towpath.Run) {
	h.t.Helper()
	h.view(func(tx *store.Tx) (err error) {
		runs, err = tx.Runs(store.RunFilter{})
		return err
	})
	return runs
}

// runOf answers the newest run of a revision.
func (h *house) runOf(revision string) towpath.Run {
	h.t.Helper()
	for _, run := range h.runs() {
		if run.Change.Revision == revision {
			return run
		}
	}
	return towpath.Run{}
}

func (h *house) changes() (changes []store.RecordedChange) {
	h.t.Helper()
	h.view(func(tx *store.Tx) (err error) {
		changes, err = tx.Changes(store.ChangeFilter{})
		return err
	})
	return changes
}

func (h *house) environment(key string) (e towpath.Environment) {
	h.t.Helper()
	h.view(func(tx *store.Tx) (err error) {
		e, _, err = tx.Environment(key)
		return err
	})
	return e
}

func (h *house) approval(run, step string) (a towpath.Approval) {
	h.t.Helper()
	h.view(func(tx *store.Tx) (err error) {
		a, _, err = tx.Approval(run + "/" + step)
		return err
	})
	return a
}

func (h *house) releases() (releases []towpath.Release) {
	h.t.Helper()
	h.view(func(tx *store.Tx) (err error) {
		releases, err = tx.Releases(store.ReleaseFilter{})
		return err
	})
	return releases
}

func (h *house) deployments(key string) (deployments []towpath.Deployment) {
	h.t.Helper()
	h.view(func(tx *store.Tx) (err error) {
		deployments, err = tx.Deployments(store.DeploymentFilter{Environment: key})
		return err
	})
	return deployments
}

// wantStep fails unless a step is in that state.
func (h *house) wantStep(run, name string, state towpath.StepState) towpath.Step {
	h.t.Helper()
	step, _ := h.run(run).Step(name)
	if step.State != state {
		h.t.Fatalf("step %s is %s (%s), want %s", name, step.State, step.Reason, state)
	}
	return step
}

func (h *house) wantRun(id string, state towpath.RunState) towpath.Run {
	h.t.Helper()
	run := h.run(id)
	if run.State != state {
		h.t.Fatalf("run %d is %s (%s), want %s", run.Number, run.State, run.Reason, state)
	}
	return run
}

// do fails the story where something went wrong that the story is not about.
func (h *house) do(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

func good[T any](value T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
}

// wantCode fails unless an error has that code.
func wantCode(t testing.TB, err error, code towpath.Code) {
	t.Helper()
	if err == nil || towpath.CodeOf(err) != code {
		t.Errorf("the error is %v (%s), want %s", err, towpath.CodeOf(err), code)
	}
}

package web_test

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/client"
	"github.com/towpath-cd/towpath/internal/access"
	"github.com/towpath-cd/towpath/internal/alert"
	"github.com/towpath-cd/towpath/internal/artifact"
	"github.com/towpath-cd/towpath/internal/flow"
	"github.com/towpath-cd/towpath/internal/forge"
	"github.com/towpath-cd/towpath/internal/forge/bitbucket"
	"github.com/towpath-cd/towpath/internal/forge/generic"
	"github.com/towpath-cd/towpath/internal/forge/github"
	"github.com/towpath-cd/towpath/internal/git"
	"github.com/towpath-cd/towpath/internal/secret"
	"github.com/towpath-cd/towpath/internal/steplog"
	"github.com/towpath-cd/towpath/internal/store"
	"github.com/towpath-cd/towpath/internal/store/storetest"
	"github.com/towpath-cd/towpath/internal/trigger"
	"github.com/towpath-cd/towpath/internal/web"
)

// house is a server with every room in it, on a folder of its own, reached by HTTP as people, programs and workers do.
// Its repositories are real ones of git. It has no poller: a run begins when a test starts one.
type house struct {
	*testing.T
	URL   string
	owner *client.Client
	store *store.Store
	guard *access.Guard
}

func newHouse(t *testing.T) *house { return newHouseBehind(t, "") }

// newHouseBehind makes a server that people reach at another address than its own.
func newHouseBehind(t *testing.T, address string) *house {
	t.Helper()
	ctx, folder, log := t.Context(), t.TempDir(), slog.New(slog.DiscardHandler)
	db := storetest.Open(t, filepath.Join(folder, "towpath.db"))
	keys, err := secret.OpenRing(filepath.Join(folder, "secret.key"))
	must(t, err)
	logs, err := steplog.NewStore(filepath.Join(folder, "logs"))
	must(t, err)
	t.Cleanup(func() { must(t, logs.Close()) })
	artifacts, err := artifact.OpenStore(filepath.Join(folder, "artifacts"), artifact.Options{Log: log, Limits: artifact.Limits{Entries: 9, Bytes: 1e6}})
	must(t, err)
	t.Cleanup(artifacts.Close)
	program, err := git.New(git.Options{})
	must(t, err)
	owner, err := access.OwnerToken(folder)
	must(t, err)

	repositories := trigger.NewRepositories(program, filepath.Join(folder, "mirrors"))
	guard := access.NewGuard(access.Options{Store: db, Owner: owner, Now: time.Now})
	secrets, hub := access.NewSecrets(keys), flow.NewHub()
	kinds := map[towpath.ForgeKind]forge.Kind{towpath.ForgeNone: generic.Kind(), towpath.ForgeGitHub: github.Kind(), towpath.ForgeBitbucket: bitbucket.Kind()}
	inbox := trigger.NewInbox(trigger.InboxOptions{
		Store: db, Kinds: map[towpath.ForgeKind]forge.Hooks{towpath.ForgeNone: generic.Kind().Hooks, towpath.ForgeGitHub: github.Kind().Hooks, towpath.ForgeBitbucket: bitbucket.Kind().Hooks}, Clock: time.Now, NewID: uuid.NewString,
	})
	conductor := flow.New(flow.Options{
		Store: db, Hub: hub, Repositories: repositories, Secrets: granted{secrets}, Credentials: deployKey{},
		Announcer: alert.NewDesk(time.Now, log), Inbox: inbox, Logs: logs, Artifacts: artifacts, LogLimit: 100e3, Clock: time.Now, NewID: uuid.NewString, Log: log,
	})
	must(t, conductor.Start(ctx))
	t.Cleanup(conductor.Stop)

	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	h := &house{T: t, URL: "http://" + listener.Addr().String(), store: db, guard: guard}
	handlers := web.New(web.Options{
		Store: db, Flow: conductor, Hub: hub, Guard: guard, Secrets: secrets, Repositories: repositories,
		Inbox: inbox, Forges: kinds, Polled: func() {}, Logs: logs, Artifacts: artifacts, Clock: time.Now, NewID: uuid.NewString,
		URL: cmp.Or(address, h.URL), Backup: func(_ context.Context, w io.Writer) error { _, err := io.WriteString(w, "all of it"); return err }, Version: "v1.2.0", Log: log,
		RotateKey: func(ctx context.Context, forget bool) (access.Rotation, error) {
			return secrets.RotateKey(ctx, db, keys, forget)
		},
	})
	server := &http.Server{Handler: handlers}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	t.Cleanup(func() {
		handlers.Stop()
		must(t, server.Close())
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
	h.owner = h.client(owner)
	return h
}

// deployKey is what every repository is shown.
type deployKey struct{}

func (deployKey) ForRepository(*store.Tx, towpath.Project) (git.Access, error) {
	return git.Access{User: "git", Key: []byte("PRIVATE KEY"), KnownHosts: "known"}, nil
}

// granted hands out secrets as the server's wiring does, for steps and instances that name none.
type granted struct{ *access.Secrets }

func (g granted) ForStep(tx *store.Tx, run towpath.Run, step towpath.Step) (access.Given, error) {
	use := access.Use{Project: run.Project, Branch: run.Change.Branch, Trusted: run.Change.Trusted}
	return g.Open(tx, use, step.Script.Secrets)
}

func (g granted) ForEnvironment(tx *store.Tx, e towpath.Environment) (access.Given, error) {
	use := access.Use{Project: e.Project, Environment: e.Name, Instances: true, Trusted: true}
	return g.Open(tx, use, e.Definition.Secrets)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// client speaks to the server with a credential; "" shows none.
func (h *house) client(credential string) *client.Client {
	h.Helper()
	c, err := client.New(h.URL, credential)
	must(h.T, err)
	h.Cleanup(c.Close)
	return c
}

// pipelineFile is built, deployed to staging, approved by the group "release-managers" and deployed to production.
const pipelineFile = `pipeline: NAME

steps:
  - build: site
    run: make
  - deploy: staging
  - approve: release
    by: release-managers
  - deploy: production

environments:
  staging:
    target: {process: {command: ./site}}
    health: {http: /healthz}
  production:
    target: {process: {command: ./site}}
    strategy: {blue-green: {standby: 10m}}
    balancer: {proxy: {host: NAME.localhost}}
    health: {http: /healthz}
`

// project makes a repository with one commit, and watches it. The project, its repository and its pipeline have the
// same name.
func (h *house) project(name string) {
	h.Helper()
	h.projectOf(name, "")
}

// projectOf is the same with more in its pipeline file.
func (h *house) projectOf(name, more string) {
	h.Helper()
	folder := filepath.Join(h.TempDir(), name)
	must(h.T, os.MkdirAll(folder, 0o700))
	h.git(folder, "init", "-q", "-b", "main")
	h.commit(folder, "towpath.yaml", strings.ReplaceAll(pipelineFile, "NAME", name)+more, "first page\n\nIt says hello.")
	h.add(client.NewProject{URL: folder, Name: name})
}

func (h *house) add(wish client.NewProject) {
	h.Helper()
	_, err := h.owner.AddProject(h.Context(), wish)
	must(h.T, err)
}

func (h *house) commit(folder, file, content, message string) {
	h.Helper()
	must(h.T, os.WriteFile(filepath.Join(folder, file), []byte(content), 0o600))
	h.git(folder, "add", "-A")
	h.git(folder, "commit", "-q", "-m", message)
}

func (h *house) git(folder string, args ...string) {
	h.Helper()
	command := exec.CommandContext(h.Context(), "git", append([]string{"-C", folder}, args...)...)
	command.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL="+os.DevNull, "GIT_CONFIG_NOSYSTEM=1",
		"GIT_AUTHOR_NAME=ana", "GIT_AUTHOR_EMAIL=ana@example.com", "GIT_COMMITTER_NAME=ana", "GIT_COMMITTER_EMAIL=ana@example.com")
	if out, err := command.CombinedOutput(); err != nil {
		h.Fatalf("git %v: %v\n%s", args, err, out)
	}
}

// password is everybody's.
const password = "correct horse battery staple"

// person is an account of the server. It signs in with its name and the password.
type person struct {
	*client.Client
	name, token string
}

// person makes an account with a role in a project; "" is none, and "administrator" of the whole server.
func (h *house) person(name, role, project string, groups ...string) person {
	h.Helper()
	account := client.Account{Name: name, Email: name + "@example.com", Groups: groups, Administrator: role == "administrator"}
	if role != "" && !account.Administrator {
		account.Roles = map[string]string{project: role}
	}
	session, err := h.guard.SignInByLink(h.Context(), h.link(account))
	must(h.T, err)
	caller := h.admit(session.Cookie(false))
	must(h.T, h.guard.SetPassword(h.Context(), caller, "", password))
	token, err := h.guard.NewToken(h.Context(), caller, access.TokenRequest{Name: "laptop"})
	must(h.T, err)
	return person{Client: h.client(token), name: name, token: token}
}

// link makes an account, and answers the code of its one-time link.
func (h *house) link(account client.Account) (code string) {
	h.Helper()
	made, err := h.owner.PutAccount(h.Context(), account)
	must(h.T, err)
	_, code, _ = strings.Cut(made.Link, "/login?code=")
	return code
}

// admit answers who shows a session's cookie.
func (h *house) admit(cookie *http.Cookie) access.Caller {
	h.Helper()
	r, err := http.NewRequestWithContext(h.Context(), http.MethodGet, h.URL, nil)
	must(h.T, err)
	r.AddCookie(cookie)
	caller, err := h.guard.Admit(r, access.Route{Method: http.MethodGet, Pattern: "/", Needs: access.SignedIn})
	must(h.T, err)
	return caller
}

// group makes a group without members.
func (h *house) group(name string) {
	h.Helper()
	_, err := h.owner.PutGroup(h.Context(), client.Group{Name: name, Members: []string{}})
	must(h.T, err)
}

// hand is a worker whose every move the test makes, by the calls that workers make.
type hand struct {
	*client.Client
	h   *house
	key string
}

func (h *house) worker(name string) hand {
	h.Helper()
	token, err := h.owner.NewWorkerToken(h.Context())
	must(h.T, err)
	registered, err := h.client("").Register(h.Context(), client.Registration{
		Token: token.Token, Machine: uuid.NewString(), Name: name, OS: runtime.GOOS, Arch: runtime.GOARCH, Slots: 1, Version: "test",
	})
	must(h.T, err)
	return hand{Client: h.client(registered.Key), h: h, key: registered.Key}
}

// job is an attempt that a hand holds, and how much it has printed.
type job struct {
	hand
	*client.StepLease
	printed int64
	lets    context.CancelFunc // go of the lease
}

// takes leases the next step.
func (w hand) takes(step string) *job {
	w.h.Helper()
	lease, err := w.Lease(w.h.Context(), "test", rand.Text())
	must(w.h.T, err)
	if lease == nil || lease.Step != step {
		w.h.Fatalf("the worker got %+v, wanted %s", lease, step)
	}
	if a := lease.Access; a == nil || *a != (client.RepositoryAccess{User: "git", Key: "PRIVATE KEY", KnownHosts: "known"}) || lease.Ref != "refs/heads/"+lease.Branch {
		w.h.Errorf("to fetch %s the worker got %+v", lease.Ref, a)
	}
	ctx, cancel := context.WithCancel(w.h.Context())
	j := &job{hand: w, StepLease: lease, lets: cancel}
	go j.holds(ctx)
	return j
}

// holds keeps the lease for as long as the job goes on, however slow the test's machine is.
func (j *job) holds(ctx context.Context) {
	again := time.NewTicker(time.Duration(j.RenewEvery * float64(time.Second)))
	defer again.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-again.C:
			_, _ = j.Renew(ctx, j.LeaseRef) // a lease that is lost shows in what the job does next
		}
	}
}

func (j *job) prints(text string) {
	j.h.Helper()
	var err error
	j.printed, err = j.AppendLog(j.h.Context(), j.LeaseRef, j.printed, strings.NewReader(text))
	must(j.h.T, err)
}

func (j *job) ends(state, reason string) {
	j.h.Helper()
	defer j.lets()
	must(j.h.T, j.Finish(j.h.Context(), j.LeaseRef, client.StepReport{State: state, Reason: reason, LogSize: j.printed}))
}

// keeps does what there is to do in an environment: the goal serves afterwards.
func (w hand) keeps(environment string) {
	w.h.Helper()
	w.reports(w.orders(environment), "", "reached")
}

// orders takes every environment, and waits until there is something to do in the one.
func (w hand) orders(environment string) (order client.KeeperOrder) {
	w.h.Helper()
	w.h.until("there is something to do in "+environment, func() bool {
		answer, err := w.Keep(w.h.Context(), client.KeepRequest{Holder: "hand"})
		must(w.h.T, err)
		for _, o := range answer.Orders {
			if o.Environment.Key == environment && o.Environment.Deployment != nil {
				order = o
			}
		}
		return order.Environment.Key != ""
	})
	return order
}

// reports tells that the goal of an order serves in one instance, and what happened.
func (w hand) reports(order client.KeeperOrder, doing, event string) {
	w.h.Helper()
	e := order.Environment
	seen := &towpath.Observation{Instances: []towpath.Instance{{
		ID: towpath.InstanceID(e.Goal.Number, 1), Release: e.Goal.Number, State: towpath.InstanceRunning,
		Address: "127.0.0.1:8001", Health: towpath.HealthPassing,
		Traffic: towpath.Traffic{Known: true, Member: true, Weight: 100, Requests: 3},
	}}}
	_, err := w.ReportKept(w.h.Context(), e.Key, client.KeeperReport{
		Epoch: e.Epoch, Observation: seen, Doing: doing, Event: event, Deployment: e.Deployment.ID,
	})
	must(w.h.T, err)
}

// run starts a run of a project's only pipeline.
func (h *house) run(project string) client.Run {
	h.Helper()
	run, err := h.owner.StartRun(h.Context(), project, client.StartRun{})
	must(h.T, err)
	return run
}

// brings a run of a project to where a decision is wanted: built, and live in staging.
func (h *house) brings(w hand, project string) client.Run {
	h.Helper()
	run := h.run(project)
	built := w.takes("site")
	built.prints("compiling\n\x1b[32mok\x1b[0m   site <1.2 MB>\n")
	built.ends("passed", "")
	w.keeps(project + "/staging")
	h.until("somebody is asked for a decision", func() bool {
		_, err := h.owner.Approval(h.Context(), run.Pipeline, run.Number, "release")
		return err == nil
	})
	return run
}

// releases brings a run of a project all the way: approved by somebody, and live in production.
func (h *house) releases(w hand, by person, project string) {
	h.Helper()
	run := h.brings(w, project)
	asked, err := by.Approval(h.Context(), project, run.Number, "release")
	must(h.T, err)
	_, err = by.Decide(h.Context(), asked, client.Decision{Approved: true})
	must(h.T, err)
	w.keeps(project + "/production")
	h.untilStep(run, "production", "passed")
}

// untilStep waits until a step of a run is in a state.
func (h *house) untilStep(run client.Run, step, state string) {
	h.Helper()
	h.until(step+" is "+state, func() bool {
		now, err := h.owner.Run(h.Context(), run.Pipeline, run.Number)
		must(h.T, err)
		for _, s := range now.Steps {
			if s.Name == step && s.State == state {
				return true
			}
		}
		return false
	})
}

// until asks again and again, for half a minute at most.
func (h *house) until(what string, is func() bool) {
	h.Helper()
	ctx, cancel := context.WithTimeout(h.Context(), 30*time.Second)
	defer cancel()
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for !is() {
		select {
		case <-ctx.Done():
			h.Fatalf("it never came that %s", what)
		case <-again.C:
		}
	}
}

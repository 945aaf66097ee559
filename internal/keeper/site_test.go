//go:build unix

package keeper_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/keeper"
	"github.com/towpath-cd/towpath/internal/proxy"
	"github.com/towpath-cd/towpath/internal/proxy/control"
	"github.com/towpath-cd/towpath/internal/supervise"
)

// site is one machine with its proxy, and the server that orders.
type site struct {
	*server
	setup
	address string // of the proxy
	logger  *slog.Logger
}

// blueGreen is an environment as the tests have it, unless they say otherwise.
func blueGreen() towpath.EnvironmentDefinition {
	return towpath.EnvironmentDefinition{
		Name: "production", Instances: 1, Minimum: 1, Secrets: []string{"PASSWORD"},
		Target: towpath.TargetDefinition{Process: &towpath.ProcessTarget{
			Command: `exec "$APP" app`, Stop: towpath.StopDefinition{Signal: "TERM", Within: 5 * time.Second},
		}},
		Strategy: towpath.StrategyDefinition{Kind: towpath.StrategyBlueGreen, Standby: time.Hour},
		Balancer: towpath.BalancerDefinition{Proxy: &towpath.ProxyBalancer{Host: "*"}},
		Health: towpath.HealthDefinition{
			HTTP: "/health", Release: "/release", Within: 10 * time.Second, Interval: 50 * time.Millisecond,
			Timeout: time.Second, Rises: 1,
		},
		Drain: towpath.DrainDefinition{Requests: 5 * time.Second, Streams: time.Second},
	}
}

func newSite(t testing.TB, d towpath.EnvironmentDefinition) *site {
	t.Helper()
	folder, err := os.MkdirTemp("", "keep") // short enough for sockets
	if err != nil {
		t.Fatal(err)
	}
	s := &site{server: newServer(t, d), logger: slog.New(slog.NewTextHandler(t.Output(), nil))}
	s.setup = setup{Server: s.http.URL, DataDir: filepath.Join(folder, "worker"), ProxyDir: filepath.Join(folder, "proxy")}
	t.Cleanup(func() { _ = os.RemoveAll(folder) })
	t.Cleanup(s.clear)
	s.startProxy()
	return s
}

func (s *site) startProxy() {
	s.t.Helper()
	folder := s.ProxyDir
	command := exec.Command(os.Args[0], "proxy", folder)
	command.Stderr = s.t.Output()
	output, err := command.StdoutPipe()
	if err == nil {
		err = command.Start()
	}
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait()
		_ = proxy.StopHolder(context.Background(), folder)
	})
	var state control.State
	if err := json.NewDecoder(bufio.NewReader(output)).Decode(&state); err != nil {
		s.t.Fatalf("the proxy did not start: %v", err)
	}
	s.address = state.Listeners[0].Address
}

// root is the environment's folder.
func (s *site) root() string { return filepath.Join(s.DataDir, "instances", "shop", "production") }

// clear ends what the test left running, under an epoch above all of the tests'.
func (s *site) clear() {
	last := supervise.Epoch{Number: 1 << 40, Holder: "clear"}
	orders := supervise.Client{Command: []string{os.Args[0], "supervise"}}
	entries, err := supervise.List(filepath.Join(s.root(), "run"))
	if err != nil {
		s.t.Error(err)
	}
	for _, e := range entries {
		if s.t.Failed() {
			lines, _ := supervise.Tail(e.Dir, 10)
			s.t.Logf("%s: %+v\n%s", e.Spec.Instance, e.State, strings.Join(lines, "\n"))
		}
		if _, err := orders.Stop(context.Background(), e.Dir, last); err != nil {
			s.t.Error(err)
		}
	}
}

// keeps runs a keeper until the test ends or it is stopped.
func (s *site) keeps() (stop func()) {
	s.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- keep(ctx, s.setup, s.logger) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			s.t.Error(err)
		}
	})
	s.t.Cleanup(stop)
	return stop
}

// says asks the proxy.
func (s *site) says() string {
	response, err := http.Get("http://" + s.address + "/")
	if err != nil {
		return err.Error()
	}
	defer response.Body.Close()
	body, _ := io.ReadAll(response.Body)
	says, _, _ := strings.Cut(string(body), " from")
	return says
}

// goes deploys a release that is good.
func (s *site) goes(r towpath.Release) {
	s.t.Helper()
	s.ends(s.deploy(r), towpath.DeploymentLive)
	if said := s.says(); said != r.Title {
		s.t.Fatalf("release %d is live, and the proxy's answer is %q", r.Number, said)
	}
}

// serving is the supervisor's word on the one instance of a release.
func (s *site) serving(r towpath.Release) supervise.Entry {
	s.t.Helper()
	entries, err := supervise.List(filepath.Join(s.root(), "run"))
	if err != nil {
		s.t.Fatal(err)
	}
	for _, e := range entries {
		if e.Spec.Release == r.Number {
			return e
		}
	}
	s.t.Fatalf("nothing runs release %d", r.Number)
	return supervise.Entry{}
}

// hears waits until the keeper says that it is doing something.
func (s *site) hears(doing string) {
	s.t.Helper()
	until(s.t, "the keeper says "+doing, func() bool {
		s.mutex.Lock()
		defer s.mutex.Unlock()
		return slices.ContainsFunc(s.doings, func(said string) bool { return strings.Contains(said, doing) })
	})
}

// standing names what stands on the machine: files and supervisors' folders.
func (s *site) standing() []string {
	var names []string
	for _, folder := range []string{"files", "run"} {
		found, err := os.ReadDir(filepath.Join(s.root(), folder))
		if err != nil {
			s.t.Fatal(err)
		}
		for _, f := range found {
			names = append(names, folder+"/"+f.Name())
		}
	}
	return names
}

// clearsUp waits until nothing is left but what serves, and tells what is where that does not come.
func (s *site) clearsUp() {
	s.t.Helper()
	var left []string
	s.t.Cleanup(func() {
		if s.t.Failed() {
			s.t.Logf("left are %q", left)
		}
	})
	until(s.t, "nothing is left but what serves", func() bool {
		left = s.standing()
		return len(left) == 2
	})
}

// pace is how often each client of a load asks: often enough that several requests fall into every switch, and seldom enough
// that the tests beside it have the processor. What the proxy does at its limit is for the proxy's own tests.
const pace = 2 * time.Millisecond

// load asks the proxy all the time, and never asks twice for the same.
type load struct {
	requests, failed atomic.Int64
	problems         sync.Map
	stop             context.CancelFunc
	done             sync.WaitGroup
}

func (s *site) load(clients int) *load {
	ctx, cancel := context.WithCancel(context.Background())
	l := &load{stop: cancel}
	for range clients {
		l.done.Go(func() {
			transport := &http.Transport{}
			defer transport.CloseIdleConnections()
			tick := time.NewTicker(pace)
			defer tick.Stop()
			for ; ctx.Err() == nil; <-tick.C {
				l.ask(&http.Client{Transport: transport, Timeout: 10 * time.Second}, s.address)
			}
		})
	}
	s.t.Cleanup(l.end)
	return l
}

// ask posts a body that cannot be sent again, so that the transport never tries twice either.
func (l *load) ask(c *http.Client, address string) {
	l.requests.Add(1)
	err := func() error {
		response, err := c.Post("http://"+address+"/", "text/plain", io.NopCloser(strings.NewReader("hello")))
		if err != nil {
			return err
		}
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		if err == nil && (response.StatusCode != http.StatusOK || !strings.Contains(string(body), " from ")) {
			err = fmt.Errorf("%s: %s", response.Status, body)
		}
		return err
	}()
	if err != nil {
		l.failed.Add(1)
		l.problems.Store(err.Error(), true)
	}
}

func (l *load) end() {
	l.stop()
	l.done.Wait()
}

// mustBeFlawless ends the load.
func (l *load) mustBeFlawless(t testing.TB) {
	t.Helper()
	l.end()
	l.problems.Range(func(problem, _ any) bool {
		t.Error(problem)
		return true
	})
	if l.failed.Load() > 0 || l.requests.Load() == 0 {
		t.Errorf("%d of %d requests failed", l.failed.Load(), l.requests.Load())
	}
	t.Logf("%d requests", l.requests.Load())
}

// runScript is how the tests run a strategy's test.
func runScript(ctx context.Context, s keeper.Script) error {
	command := exec.CommandContext(ctx, "sh", "-c", s.Text)
	command.Dir, command.Env = s.Dir, os.Environ()
	for name, value := range s.Env {
		command.Env = append(command.Env, name+"="+value)
	}
	output := new(bytes.Buffer)
	command.Stdout, command.Stderr = output, output
	err := command.Run()
	var exited *exec.ExitError
	if errors.As(err, &exited) && ctx.Err() == nil {
		return &keeper.ScriptFailure{
			ExitCode: exited.ExitCode(), Reason: err.Error(), Log: strings.Split(strings.TrimSpace(output.String()), "\n"),
		}
	}
	return err
}

// until polls what other processes do, with a deadline.
func until(t testing.TB, what string, holds func() bool) {
	t.Helper()
	deadline := time.NewTimer(2 * time.Minute)
	defer deadline.Stop()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-deadline.C:
			t.Fatalf("never: %s", what)
		case <-tick.C:
		}
	}
}

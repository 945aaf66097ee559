//go:build unix

package supervise_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/towpath-cd/towpath/internal/process"
	"github.com/towpath-cd/towpath/internal/supervise"
)

// TestMain lets the test's own program be a supervisor, or an instance that serves.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "supervise" {
		os.Exit(superviseMain(os.Args[2]))
	}
	if len(os.Args) > 1 && os.Args[1] == "serve" {
		os.Exit(serveMain())
	}
	goleak.VerifyTestMain(m)
}

func superviseMain(dir string) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	logger := slog.New(slog.NewTextHandler(os.Stderr, nil))
	if err := supervise.Run(ctx, supervise.Options{Dir: dir, Logger: logger}); err != nil {
		logger.Error("supervisor ended", "error", err)
		return 1
	}
	return 0
}

// serveMain is an instance: it tells its process number, and ends gracefully when asked.
func serveMain() int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	server := &http.Server{Addr: "127.0.0.1:" + os.Getenv("PORT"), Handler: http.HandlerFunc(
		func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, os.Getpid()) })}
	context.AfterFunc(ctx, func() { _ = server.Shutdown(context.Background()) })
	fmt.Println("serving", os.Getenv("GREETING"))
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		fmt.Println(err)
		return 1
	}
	return 0
}

var first = supervise.Epoch{Number: 1, Holder: "first"}

// fixture is one instance, whose supervisor and child end with the test.
type fixture struct {
	*testing.T
	supervise.Client
	dir string
}

func newFixture(t *testing.T) fixture {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	f := fixture{T: t, Client: supervise.Client{Command: []string{program, "supervise"}}, dir: filepath.Join(t.TempDir(), "web-1")}
	t.Cleanup(f.end)
	return f
}

// end stops what the test left, under an epoch above all of the tests'.
func (f fixture) end() {
	if _, err := os.Stat(filepath.Join(f.dir, "spec.json")); err != nil {
		return
	}
	if f.Failed() {
		text, _ := os.ReadFile(filepath.Join(f.dir, "supervisor.log"))
		f.Logf("supervisor's log:\n%s", text)
	}
	last := supervise.Epoch{Number: 1 << 40, Holder: "cleanup"}
	if _, err := f.Stop(context.Background(), f.dir, last); err != nil {
		f.Error(err)
	}
	if err := f.Remove(context.Background(), f.dir, last); err != nil {
		f.Error(err)
	}
	eventually(f.T, "every supervisor has ended", func() bool { return !isMentioned(f.dir) })
}

// isMentioned says whether a process has a folder on its command line, where that can be seen.
func isMentioned(dir string) bool {
	files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	return slices.ContainsFunc(files, func(file string) bool {
		text, _ := os.ReadFile(file)
		return strings.Contains(string(text), "supervise\x00"+dir+"\x00")
	})
}

func shellSpec(line string) supervise.Spec {
	return supervise.Spec{
		Instance: "web-1", Release: 7, Shell: line, Dir: os.TempDir(),
		Stop:    supervise.Stop{Within: 5 * time.Second},
		Restart: supervise.Restart{First: 5 * time.Millisecond, Most: 20 * time.Millisecond},
	}
}

func servingSpec(t *testing.T) supervise.Spec {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	spec := shellSpec("")
	spec.Command = []string{program, "serve"}
	spec.Address = freeAddress(t)
	return spec
}

func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

func (f fixture) launch(spec supervise.Spec) supervise.State {
	f.Helper()
	state, err := f.Launch(f.Context(), f.dir, first, spec)
	if err != nil {
		f.Fatal(err)
	}
	return state
}

func (f fixture) state() supervise.State {
	f.Helper()
	state, err := f.State(f.Context(), f.dir)
	if err != nil {
		f.Fatal(err)
	}
	return state
}

// until waits for a state, by looking, and returns it.
func (f fixture) until(what string, holds func(supervise.State) bool) supervise.State {
	f.Helper()
	var state supervise.State
	eventually(f.T, what, func() bool {
		state = f.state()
		return holds(state)
	})
	return state
}

func (f fixture) untilRunning() supervise.State {
	f.Helper()
	return f.until("the instance runs", func(s supervise.State) bool { return s.Status == supervise.StatusRunning })
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.NewTimer(20 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-deadline.C:
			t.Fatalf("never: %s", what)
		case <-tick.C:
		}
	}
}

// served asks the instance for its process number; 0 while it does not answer.
func served(address string) int {
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Get("http://" + address)
	if err != nil {
		return 0
	}
	defer response.Body.Close()
	text, _ := io.ReadAll(response.Body)
	pid, _ := strconv.Atoi(string(text))
	return pid
}

func (f fixture) untilServed(address string) int {
	f.Helper()
	var pid int
	eventually(f.T, "the instance serves", func() bool {
		pid = served(address)
		return pid != 0
	})
	return pid
}

// killSupervisor kills the supervisor without warning, and waits until it is gone.
func (f fixture) killSupervisor() {
	f.Helper()
	id := f.state().Supervisor
	if err := process.Signal(id, syscall.SIGKILL); err != nil {
		f.Fatal(err)
	}
	eventually(f.T, "the supervisor is dead", func() bool { return !process.Alive(id) })
}

func TestAnInstanceServesWithItsPortItsEnvironmentAndItsLog(t *testing.T) {
	f := newFixture(t)
	spec := servingSpec(t)
	spec.Env = map[string]string{"GREETING": "hello from the spec"}
	f.launch(spec)
	pid := f.untilServed(spec.Address)
	if state := f.untilRunning(); state.Child.PID != pid || state.Epoch != first {
		t.Errorf("%+v, served by %d", state, pid)
	}
	lines, err := supervise.Tail(f.dir, 1)
	if err != nil || !slices.Equal(lines, []string{"serving hello from the spec"}) {
		t.Errorf("%q, %v", lines, err)
	}
}

func TestSecretsStayBetweenTheFolderAndTheInstance(t *testing.T) {
	t.Setenv("TOWPATH_TOKEN", "of the server")
	f := newFixture(t)
	spec := shellSpec(`echo "token:$TOWPATH_TOKEN secret:$SECRET"; exec sleep 1000`)
	spec.Env = map[string]string{"SECRET": "of the instance"}
	f.launch(spec)
	eventually(t, "the environment is told", func() bool {
		lines, _ := supervise.Tail(f.dir, 1)
		return slices.Equal(lines, []string{"token: secret:of the instance"})
	})
	for path, mode := range map[string]os.FileMode{"": 0o700, "spec.json": 0o600, "control.sock": 0o600, "log": 0o600} {
		info, err := os.Stat(filepath.Join(f.dir, path))
		if err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s: %v, %v", path, info.Mode(), err)
		}
	}
	command, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", f.state().Supervisor.PID))
	if strings.Contains(string(command), "of the instance") {
		t.Error("the secret is on the supervisor's command line")
	}
}

func TestAKilledSupervisorIsReplacedAndTheInstanceIsAdopted(t *testing.T) {
	f := newFixture(t)
	spec := servingSpec(t)
	f.launch(spec)
	pid := f.untilServed(spec.Address)
	for range 3 {
		f.killSupervisor()
		if got := served(spec.Address); got != pid {
			t.Fatalf("served by %d, before by %d", got, pid)
		}
		state := f.launch(spec)
		if state.Status != supervise.StatusRunning || state.Child.PID != pid || state.Restarts != 0 {
			t.Fatalf("%+v, served by %d", state, pid)
		}
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	state := f.until("the adopted child's death is noticed", func(s supervise.State) bool {
		return s.Status == supervise.StatusRunning && s.Child.PID != pid
	})
	if !state.LastExit.Unknown || state.Restarts != 1 {
		t.Errorf("%+v", state)
	}
	if next := f.untilServed(spec.Address); next != state.Child.PID {
		t.Errorf("served by %d, child is %d", next, state.Child.PID)
	}
}

func TestASupervisorThatIsToldToEndLeavesTheInstanceRunning(t *testing.T) {
	f := newFixture(t)
	f.launch(shellSpec("exec sleep 1000"))
	before := f.untilRunning()
	if err := process.Signal(before.Supervisor, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the supervisor ends", func() bool { return !process.Alive(before.Supervisor) })
	entries, err := supervise.List(filepath.Dir(f.dir))
	if err != nil || len(entries) != 1 || entries[0].Supervised || !entries[0].Alive || entries[0].Spec.Release != 7 {
		t.Fatalf("%+v, %v", entries, err)
	}
	if after := f.launch(shellSpec("exec sleep 1000")); after.Child != before.Child {
		t.Errorf("child %v, before %v", after.Child, before.Child)
	}
}

func TestStoppingWithoutASupervisorStillEndsTheInstance(t *testing.T) {
	f := newFixture(t)
	f.launch(shellSpec("exec sleep 1000"))
	child := f.untilRunning().Child
	f.killSupervisor()
	state, err := f.Stop(t.Context(), f.dir, first)
	if err != nil || state.Status != supervise.StatusStopped || process.Alive(child) {
		t.Errorf("%+v, %v", state, err)
	}
}

func TestAStartThatWasCutShortIsUndoneNotDoubled(t *testing.T) {
	f := newFixture(t)
	spec := shellSpec("exec sleep 1000")
	f.launch(spec)
	before := f.untilRunning()
	f.killSupervisor()
	forgetChild(t, f.dir, before.Child.PID)
	f.launch(spec)
	after := f.untilRunning()
	if process.Alive(before.Child) || !process.Alive(after.Child) {
		t.Errorf("before %v, after %v", before.Child, after.Child)
	}
}

// forgetChild makes the state what it was between the birth of the child and the moment it was written down.
func forgetChild(t *testing.T, dir string, pid int) {
	t.Helper()
	path := filepath.Join(dir, "state.json")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	without := strings.Replace(string(text), fmt.Sprintf(`"pid": %d`, pid), `"pid": 0`, 1)
	if err := os.WriteFile(path, []byte(without), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestAnInstanceThatCrashesIsStartedAgainAfterALongerWaitEachTime(t *testing.T) {
	f := newFixture(t)
	spec := shellSpec("echo started; exit 3")
	spec.Restart = supervise.Restart{First: 10 * time.Millisecond, Most: time.Hour}
	f.launch(spec)
	state := f.until("the fifth failure", func(s supervise.State) bool {
		return s.Failures == 5 && s.Status == supervise.StatusBackingOff
	})
	if state.LastExit.Code != 3 || state.Reason != "ended with exit code 3, starting again in 160ms" {
		t.Errorf("%+v", state)
	}
}

func TestARunThatLastedBeginsTheBackOffAnew(t *testing.T) {
	f := newFixture(t)
	spec := shellSpec("exit 3")
	spec.Restart = supervise.Restart{First: time.Millisecond, Most: time.Hour, HealthyAfter: time.Nanosecond}
	f.launch(spec)
	state := f.until("several restarts", func(s supervise.State) bool { return s.Restarts > 5 && s.LastExit != nil })
	if state.Failures != 1 {
		t.Errorf("%+v", state)
	}
}

func TestStoppingAsksFirstAndKillsWhatDoesNotListen(t *testing.T) {
	tests := []struct {
		name, script string
		within       time.Duration
		code         int
		signal       syscall.Signal
	}{
		{"listens", `trap 'echo bye; exit 4' TERM; echo ready; while :; do sleep 0.01; done`, 10 * time.Second, 4, 0},
		{"does not listen", `trap '' TERM; echo ready; while :; do sleep 0.01; done`, 50 * time.Millisecond, -1, syscall.SIGKILL},
		{"is given no time", `trap 'exit 4' TERM; echo ready; while :; do sleep 0.01; done`, 0, -1, syscall.SIGKILL},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture(t)
			spec := shellSpec(tt.script)
			spec.Stop.Within = tt.within
			f.launch(spec)
			eventually(t, "it is ready", func() bool {
				lines, _ := supervise.Tail(f.dir, 1)
				return slices.Contains(lines, "ready")
			})
			child := f.untilRunning()
			state, err := f.Stop(t.Context(), f.dir, first)
			if err != nil || state.Status != supervise.StatusStopped || state.LastExit.Code != tt.code || state.LastExit.Signal != tt.signal {
				t.Errorf("%+v, %+v, %v", state, state.LastExit, err)
			}
			if process.Alive(child.Child) {
				t.Error("the child lives on")
			}
			eventually(t, "the supervisor ends too", func() bool { return !process.Alive(child.Supervisor) })
		})
	}
}

func TestAStoppedInstanceRunsAgainWhenLaunched(t *testing.T) {
	f := newFixture(t)
	spec := shellSpec("exec sleep 1000")
	for range 3 {
		f.launch(spec)
		f.untilRunning()
		for range 2 {
			if _, err := f.Stop(t.Context(), f.dir, first); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestARestartReplacesTheProcess(t *testing.T) {
	f := newFixture(t)
	f.launch(shellSpec("exec sleep 1000"))
	before := f.untilRunning()
	if _, err := f.Restart(t.Context(), f.dir, first); err != nil {
		t.Fatal(err)
	}
	f.until("another process", func(s supervise.State) bool {
		return s.Status == supervise.StatusRunning && s.Child != before.Child && s.Supervisor == before.Supervisor
	})
}

func TestOrdersOfAStaleEpochAreRefused(t *testing.T) {
	f := newFixture(t)
	spec := shellSpec("exec sleep 1000")
	f.launch(spec)
	child := f.untilRunning().Child
	second := supervise.Epoch{Number: 2, Holder: "second"}
	if err := f.Claim(t.Context(), f.dir, second); err != nil {
		t.Fatal(err)
	}
	f.refusesAll(spec, second)
	f.killSupervisor()
	f.refusesAll(spec, second)
	if _, err := f.Launch(t.Context(), f.dir, second, spec); err != nil {
		t.Fatal(err)
	}
	f.refusesAll(spec, second)
	if state := f.state(); state.Child != child {
		t.Errorf("%+v, before %v", state, child)
	}
}

// refusesAll gives every order under a lower epoch, and under the same number of another holder.
func (f fixture) refusesAll(spec supervise.Spec, current supervise.Epoch) {
	f.Helper()
	for _, stale := range []supervise.Epoch{first, {Number: current.Number, Holder: "another"}} {
		_, launched := f.Launch(f.Context(), f.dir, stale, spec)
		_, stopped := f.Stop(f.Context(), f.dir, stale)
		_, restarted := f.Restart(f.Context(), f.dir, stale)
		removed := f.Remove(f.Context(), f.dir, stale)
		claimed := f.Claim(f.Context(), f.dir, stale)
		for _, err := range []error{launched, stopped, restarted, removed, claimed} {
			var refused *supervise.StaleEpochError
			if !errors.Is(err, supervise.ErrStaleEpoch) || !errors.As(err, &refused) || refused.Current != current {
				f.Errorf("%s: %v", stale, err)
			}
		}
	}
}

func TestAPortThatIsHeldIsWaitedForAndItsHolderNamed(t *testing.T) {
	f := newFixture(t)
	spec := servingSpec(t)
	spec.PortWithin = 50 * time.Millisecond
	listener, err := net.Listen("tcp", spec.Address)
	if err != nil {
		t.Fatal(err)
	}
	f.launch(spec)
	state := f.until("it gives up for now", func(s supervise.State) bool { return s.Status == supervise.StatusFailed })
	want := fmt.Sprintf("%s is held by process %d (", spec.Address, os.Getpid())
	if state.Holder == nil || state.Holder.PID != os.Getpid() || !strings.Contains(state.Reason, want) {
		t.Errorf("%+v", state)
	}
	listener.Close()
	f.untilServed(spec.Address)
}

func TestACommandThatDoesNotExistIsReportedAndTriedAgain(t *testing.T) {
	f := newFixture(t)
	program := filepath.Join(t.TempDir(), "later")
	spec := shellSpec("")
	spec.Command = []string{program}
	f.launch(spec)
	state := f.until("it fails", func(s supervise.State) bool { return s.Status == supervise.StatusFailed && s.Failures > 1 })
	if !strings.Contains(state.Reason, "no such file") {
		t.Errorf("%+v", state)
	}
	if err := os.WriteFile(program, []byte("#!/bin/sh\nexec sleep 1000\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	f.untilRunning()
}

func TestLaunchingManyTimesAtOnceStartsOneChild(t *testing.T) {
	f := newFixture(t)
	spec := shellSpec("echo started; exec sleep 1000")
	var together sync.WaitGroup
	for range 6 {
		together.Go(func() {
			if _, err := f.Launch(t.Context(), f.dir, first, spec); err != nil {
				t.Error(err)
			}
		})
	}
	together.Wait()
	f.untilRunning()
	eventually(t, "it has started", func() bool {
		lines, _ := supervise.Tail(f.dir, 9)
		return len(lines) > 0
	})
	if lines, _ := supervise.Tail(f.dir, 9); !slices.Equal(lines, []string{"started"}) {
		t.Errorf("%q", lines)
	}
	if state := f.state(); state.Restarts != 0 {
		t.Errorf("%+v", state)
	}
}

func TestOneFolderHoldsOneInstance(t *testing.T) {
	f := newFixture(t)
	f.launch(shellSpec("exec sleep 1000"))
	if _, err := f.Launch(t.Context(), f.dir, first, shellSpec("exec sleep 2000")); !errors.Is(err, supervise.ErrOtherSpec) {
		t.Error(err)
	}
	if err := f.Remove(t.Context(), f.dir, first); !errors.Is(err, supervise.ErrRunning) {
		t.Errorf("removing what runs: %v", err)
	}
	if err := supervise.Run(t.Context(), supervise.Options{Dir: f.dir, Logger: slog.New(slog.DiscardHandler)}); !errors.Is(err, supervise.ErrSupervised) {
		t.Errorf("a second supervisor: %v", err)
	}
}

func TestAnInstanceInADeepFolderIsReached(t *testing.T) {
	f := newFixture(t)
	f.dir = filepath.Join(f.dir, strings.Repeat("deep/", 25), "web-1")
	t.Cleanup(f.end)
	f.launch(shellSpec("exec sleep 1000"))
	f.untilRunning()
}

func TestTheLogIsPutAsideAndStaysBounded(t *testing.T) {
	f := newFixture(t)
	spec := shellSpec(`i=0; while [ $i -lt 3000 ]; do i=$((i+1)); echo "line $i"; done; exec sleep 1000`)
	spec.Log = supervise.Log{MaxBytes: 1000, Files: 2}
	f.launch(spec)
	eventually(t, "the log is put aside", func() bool {
		info, err := os.Stat(filepath.Join(f.dir, "log.1"))
		current, _ := os.Stat(filepath.Join(f.dir, "log"))
		return err == nil && info.Size() > 1000 && current.Size() == 0
	})
	lines, err := supervise.Tail(f.dir, 2)
	if err != nil || !slices.Equal(lines, []string{"line 2999", "line 3000"}) {
		t.Errorf("%q, %v", lines, err)
	}
}

func TestASpecThatCannotBeCarriedOutIsRefused(t *testing.T) {
	valid := shellSpec("true")
	tests := map[string]func(*supervise.Spec){
		"no instance":       func(s *supervise.Spec) { s.Instance = "" },
		"no command":        func(s *supervise.Spec) { s.Shell = "" },
		"two commands":      func(s *supervise.Spec) { s.Command = []string{"true"} },
		"relative folder":   func(s *supervise.Spec) { s.Dir = "x" },
		"no port":           func(s *supervise.Spec) { s.Address = "127.0.0.1" },
		"unknown signal":    func(s *supervise.Spec) { s.Stop.Signal = "PLEASE" },
		"negative back-off": func(s *supervise.Spec) { s.Restart.First = -1 },
	}
	for name, spoil := range tests {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			spec := valid
			spoil(&spec)
			if _, err := f.Launch(t.Context(), f.dir, first, spec); !errors.Is(err, supervise.ErrInvalidSpec) {
				t.Error(err)
			}
			if _, err := os.Stat(f.dir); !errors.Is(err, os.ErrNotExist) {
				t.Error("a folder was made")
			}
		})
	}
	f := newFixture(t)
	if _, err := f.Stop(t.Context(), f.dir, first); !errors.Is(err, supervise.ErrNoInstance) {
		t.Error(err)
	}
}

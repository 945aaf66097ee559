//go:build unix

package process_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/towpath-cd/towpath/internal/process"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// kinds are the ways to hold a group together that this machine offers; every promise is tried on each.
func kinds(t *testing.T) map[string]func() process.GroupOptions {
	t.Helper()
	return map[string]func() process.GroupOptions{
		"best": func() process.GroupOptions { return process.GroupOptions{} },
		"marked": func() process.GroupOptions {
			return process.GroupOptions{Handle: "marked:" + strconv.FormatInt(time.Now().UnixNano(), 36)}
		},
	}
}

func onEachKind(t *testing.T, promise func(t *testing.T, group process.GroupOptions)) {
	for name, options := range kinds(t) {
		t.Run(name, func(t *testing.T) { promise(t, options()) })
	}
}

func start(t *testing.T, spec process.Spec) *process.Process {
	t.Helper()
	p, err := process.Start(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func shell(script string, group process.GroupOptions, out io.Writer) process.Spec {
	return process.Spec{Args: []string{"sh", "-c", script}, Group: group, Stdout: out, Stderr: out}
}

func withEnv(spec process.Spec, variable string) process.Spec {
	spec.Env = append(os.Environ(), variable)
	return spec
}

// announcement is a writer that waits for a word.
type announcement struct {
	word string
	seen chan struct{}
	text bytes.Buffer
}

func waitingOutput(word string) *announcement {
	return &announcement{word: word, seen: make(chan struct{})}
}

func (a *announcement) Write(p []byte) (int, error) {
	had := strings.Contains(a.text.String(), a.word)
	a.text.Write(p)
	if !had && strings.Contains(a.text.String(), a.word) {
		close(a.seen)
	}
	return len(p), nil
}

func (a *announcement) wait(t *testing.T) {
	t.Helper()
	select {
	case <-a.seen:
	case <-time.After(10 * time.Second):
		t.Fatalf("%q was never written", a.word)
	}
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.NewTimer(10 * time.Second)
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

func pidIn(t *testing.T, file string) int {
	t.Helper()
	var pid int
	eventually(t, file+" names a process", func() bool {
		text, _ := os.ReadFile(file)
		pid, _ = strconv.Atoi(strings.TrimSpace(string(text)))
		return pid > 0
	})
	return pid
}

func mustBeGone(t *testing.T, pid int) {
	t.Helper()
	if _, err := process.Of(pid); !errors.Is(err, process.ErrGone) {
		t.Errorf("process %d lives on (%v)", pid, err)
	}
}

func TestExitStatusSignalAndUsageAreReported(t *testing.T) {
	tests := []struct {
		script string
		code   int
		signal syscall.Signal
	}{
		{"exit 0", 0, 0}, {"exit 7", 7, 0}, {"kill -KILL $$", -1, syscall.SIGKILL},
	}
	for _, tt := range tests {
		t.Run(tt.script, func(t *testing.T) {
			result, err := start(t, shell(tt.script, process.GroupOptions{}, nil)).Wait()
			if err != nil || result.ExitCode != tt.code || result.Signal != tt.signal || result.MaxRSS <= 0 {
				t.Errorf("got %+v, %v", result, err)
			}
		})
	}
}

func TestACommandThatDoesNotExistIsAnError(t *testing.T) {
	_, err := process.Start(t.Context(), process.Spec{Args: []string{"/does/not/exist"}})
	if !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	if _, err := process.Start(t.Context(), process.Spec{}); !errors.Is(err, process.ErrNoCommand) {
		t.Error(err)
	}
}

func TestABackgroundChildThatHoldsThePipeNeitherDelaysTheEndNorSurvivesIt(t *testing.T) {
	onEachKind(t, func(t *testing.T, group process.GroupOptions) {
		file := filepath.Join(t.TempDir(), "pid")
		var out bytes.Buffer
		began := time.Now()
		_, err := start(t, shell("sleep 1000 & echo $! >"+file+"; echo last", group, &out)).Wait()
		if err != nil || out.String() != "last\n" {
			t.Errorf("output %q, %v", out.String(), err)
		}
		mustBeGone(t, pidIn(t, file))
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("took %s", took)
		}
	})
}

func TestADaemonWithItsOwnSessionIsKilled(t *testing.T) {
	onEachKind(t, func(t *testing.T, group process.GroupOptions) {
		file := filepath.Join(t.TempDir(), "pid")
		script := `(setsid sh -c 'echo $$ >` + file + `.new; mv ` + file + `.new ` + file + `; exec sleep 1000' &) ; ` +
			`while ! test -e ` + file + `; do sleep 0.01; done`
		if _, err := start(t, shell(script, group, nil)).Wait(); err != nil {
			t.Fatal(err)
		}
		mustBeGone(t, pidIn(t, file))
	})
}

func TestTheLastBytesBeforeTheEndAreDelivered(t *testing.T) {
	for range 20 {
		var out bytes.Buffer
		if _, err := start(t, shell("head -c 60000 /dev/zero; printf end; kill -KILL $$", process.GroupOptions{}, &out)).Wait(); err != nil {
			t.Fatal(err)
		}
		if out.Len() != 60003 || !strings.HasSuffix(out.String(), "end") {
			t.Fatalf("%d bytes", out.Len())
		}
	}
}

// slowWriter is a log that cannot keep up.
type slowWriter struct {
	bytes.Buffer
	gate chan struct{}
}

func (w *slowWriter) Write(p []byte) (int, error) {
	<-w.gate
	return w.Buffer.Write(p)
}

// stranger begins a script by a process that leaves the marked group, by dropping its environment and its session, and
// lives for as long as the test.
func stranger(t *testing.T) string {
	t.Helper()
	held := filepath.Join(t.TempDir(), "held")
	if err := os.WriteFile(held, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	return "setsid env -i sh -c 'while test -e " + held + "; do sleep 0.01; done' & "
}

func TestASlowWriterLosesNothingEvenWhileAStrangerHoldsThePipe(t *testing.T) {
	out := &slowWriter{gate: make(chan struct{})}
	script := stranger(t) + "head -c 40000 /dev/zero; printf end"
	p := start(t, shell("("+script+")", process.GroupOptions{Handle: "marked:stranger"}, out))
	close(out.gate)
	if _, err := p.Wait(); err != nil {
		t.Fatal(err)
	}
	if !strings.HasSuffix(out.String(), "end") || out.Len() != 40003 {
		t.Errorf("%d bytes", out.Len())
	}
}

func TestAFloodIsDeliveredToTheLastByteAlsoWhileAStrangerHoldsThePipe(t *testing.T) {
	out := &slowWriter{gate: make(chan struct{})}
	script := stranger(t) + "head -c 3000000 /dev/zero; printf end"
	p := start(t, shell("("+script+")", process.GroupOptions{Handle: "marked:flooded"}, out))
	close(out.gate)
	if _, err := p.Wait(); err != nil {
		t.Fatal(err)
	}
	if !strings.HasSuffix(out.String(), "end") || out.Len() != 3_000_003 {
		t.Errorf("%d bytes", out.Len())
	}
}

type brokenWriter struct{}

var errBroken = errors.New("broken")

func (brokenWriter) Write([]byte) (int, error) { return 0, errBroken }

func TestAWriterThatFailsDoesNotBlockTheProcess(t *testing.T) {
	result, err := start(t, shell("head -c 1000000 /dev/zero; exit 3", process.GroupOptions{}, brokenWriter{})).Wait()
	if !errors.Is(err, errBroken) || result.ExitCode != 3 {
		t.Errorf("%+v, %v", result, err)
	}
}

func TestStoppingAsksFirst(t *testing.T) {
	onEachKind(t, func(t *testing.T, group process.GroupOptions) {
		ready, bye := waitingOutput("ready"), filepath.Join(t.TempDir(), "bye")
		p := start(t, shell("trap 'echo bye >"+bye+"; exit 5' TERM; echo ready; while :; do sleep 0.01; done", group, ready))
		ready.wait(t)
		if err := p.Stop(t.Context(), 10*time.Second); err != nil {
			t.Fatal(err)
		}
		if result, _ := p.Wait(); result.ExitCode != 5 {
			t.Errorf("%+v", result)
		}
		if _, err := os.Stat(bye); err != nil {
			t.Error(err)
		}
	})
}

func TestStoppingWaitsForTheWholeGroupNotOnlyForItsLeader(t *testing.T) {
	onEachKind(t, func(t *testing.T, group process.GroupOptions) {
		ready, bye := waitingOutput("ready"), filepath.Join(t.TempDir(), "bye")
		inner := "trap 'sleep 0.3; echo bye >" + bye + "; exit' TERM; echo ready; while :; do sleep 0.01; done"
		p := start(t, withEnv(shell(`sh -c "$INNER"; true`, group, ready), "INNER="+inner))
		ready.wait(t)
		if err := p.Stop(t.Context(), 10*time.Second); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(bye); err != nil {
			t.Errorf("the service behind the shell was cut short: %v", err)
		}
	})
}

func TestWhatIgnoresTheInterruptIsKilledAfterItsGrace(t *testing.T) {
	onEachKind(t, func(t *testing.T, group process.GroupOptions) {
		ready := waitingOutput("ready")
		p := start(t, shell("trap '' TERM; echo ready; while :; do sleep 0.01; done", group, ready))
		ready.wait(t)
		if err := p.Stop(t.Context(), 50*time.Millisecond); err != nil {
			t.Fatal(err)
		}
		if result, _ := p.Wait(); result.Signal != syscall.SIGKILL {
			t.Errorf("%+v", result)
		}
	})
}

func TestTheContextEndsTheProcessWithItsCause(t *testing.T) {
	cause := errors.New("timeout of the step")
	ctx, cancel := context.WithCancelCause(t.Context())
	ready := waitingOutput("ready")
	spec := shell("echo ready; sleep 1000", process.GroupOptions{Interrupt: syscall.SIGINT}, ready)
	p, err := process.Start(ctx, spec)
	if err != nil {
		t.Fatal(err)
	}
	ready.wait(t)
	cancel(cause)
	if _, err := p.Wait(); !errors.Is(err, cause) {
		t.Error(err)
	}
}

func TestAnAdoptedProcessIsFollowedAndStopped(t *testing.T) {
	onEachKind(t, func(t *testing.T, group process.GroupOptions) {
		file := filepath.Join(t.TempDir(), "pid")
		p := start(t, shell("sleep 1000 & echo $! >"+file+"; wait", group, nil))
		background := pidIn(t, file)
		adopted, err := process.Adopt(p.Identity(), process.GroupOptions{Handle: p.Group()})
		if err != nil {
			t.Fatal(err)
		}
		if err := adopted.Stop(t.Context(), time.Second); err != nil {
			t.Fatal(err)
		}
		if result, err := adopted.Wait(); err != nil || !result.Unknown {
			t.Errorf("%+v, %v", result, err)
		}
		if _, err := p.Wait(); err != nil {
			t.Error(err)
		}
		mustBeGone(t, background)
		if _, err := process.Adopt(p.Identity(), process.GroupOptions{Handle: p.Group()}); !errors.Is(err, process.ErrGone) {
			t.Errorf("adopting a dead process: %v", err)
		}
	})
}

func TestAGroupIsKilledByItsNameAlone(t *testing.T) {
	onEachKind(t, func(t *testing.T, group process.GroupOptions) {
		p := start(t, shell("sleep 1000", group, nil))
		if err := process.KillGroup(p.Group()); err != nil {
			t.Fatal(err)
		}
		if result, _ := p.Wait(); result.Signal != syscall.SIGKILL {
			t.Errorf("%+v", result)
		}
		if err := process.KillGroup(p.Group()); err != nil {
			t.Errorf("killing it twice: %v", err)
		}
	})
}

func TestAReservedGroupReceivesItsProcess(t *testing.T) {
	handle, err := process.ReserveGroup()
	if err != nil {
		t.Fatal(err)
	}
	p := start(t, shell("sleep 1000", process.GroupOptions{Handle: handle}, nil))
	if p.Group() != handle {
		t.Errorf("group %s, reserved %s", p.Group(), handle)
	}
	if err := p.Stop(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
}

func TestAnIdentityIsOfOneProcessOnly(t *testing.T) {
	p := start(t, shell("sleep 1000", process.GroupOptions{}, nil))
	id := p.Identity()
	if !process.Alive(id) {
		t.Error("not alive")
	}
	reused := process.Identity{PID: id.PID, Start: "another boot/1"}
	if process.Alive(reused) {
		t.Error("a reused number counts as alive")
	}
	if err := process.Signal(reused, syscall.SIGKILL); !errors.Is(err, process.ErrGone) {
		t.Errorf("signal to a reused number: %v", err)
	}
	if err := process.Signal(id, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Wait(); err != nil {
		t.Fatal(err)
	}
	if process.Alive(id) {
		t.Error("still alive")
	}
}

func TestADetachedProcessWritesItsLogAndLeavesNoZombie(t *testing.T) {
	file := filepath.Join(t.TempDir(), "log")
	id, err := process.StartDetached(process.Spec{Args: []string{"sh", "-c", "echo hello; echo there >&2"}, LogFile: file})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the process is reaped", func() bool {
		return errors.Is(syscall.Kill(id.PID, 0), syscall.ESRCH)
	})
	if text, _ := os.ReadFile(file); string(text) != "hello\nthere\n" {
		t.Errorf("log %q", text)
	}
}

func TestTheHolderOfAPortIsNamed(t *testing.T) {
	for _, host := range []string{"127.0.0.1", ""} {
		listener, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
		if err != nil {
			t.Fatal(err)
		}
		address := fmt.Sprintf("127.0.0.1:%d", listener.Addr().(*net.TCPAddr).Port)
		holder, err := process.PortHolder(address)
		if err != nil || holder.PID != os.Getpid() || !strings.Contains(holder.Command, "process.test") {
			t.Errorf("held by %v, %v", holder, err)
		}
		listener.Close()
		if _, err := process.PortHolder(address); !errors.Is(err, process.ErrPortFree) {
			t.Errorf("a free port: %v", err)
		}
	}
}

func TestNoDescriptorIsLost(t *testing.T) {
	if runtime.GOOS != "linux" {
		return
	}
	count := func() int {
		entries, _ := os.ReadDir("/proc/self/fd")
		return len(entries)
	}
	var out bytes.Buffer
	_, _ = start(t, shell("true", process.GroupOptions{}, &out)).Wait()
	before := count()
	for range 50 {
		_, _ = start(t, shell("true", process.GroupOptions{}, &out)).Wait()
	}
	if after := count(); after > before+2 {
		t.Errorf("%d descriptors before, %d after", before, after)
	}
}

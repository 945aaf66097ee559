//go:build unix

// Package errandtest holds every target to what deploy.Exec promises.
package errandtest

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/deploy"
)

// patience is how long something may take on a machine that is busy.
const patience = time.Minute

// Way is a target under test. An instance runs there, whose release has a file "greeting" with "hello" in it and the variable
// GREETING, which is "it's $5".
type Way struct {
	Target   deploy.Driver
	Epoch    towpath.Epoch
	Release  towpath.Release
	Instance towpath.Instance
	Token    string // value of the environment's secret TOKEN
}

// errand is a command under way.
type errand struct {
	*testing.T
	deploy.Errand
	out, err *output
	cancel   context.CancelFunc
	ended    chan struct{}
	end      deploy.ErrandEnd
	failed   error
}

// output keeps what is written, for several goroutines.
type output struct {
	mutex sync.Mutex
	text  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	return o.text.String()
}

func (w Way) errand(t *testing.T, command ...string) *errand {
	return &errand{T: t, out: new(output), err: new(output), ended: make(chan struct{}), Errand: deploy.Errand{
		ID: "x" + strings.ToLower(rand.Text()), Epoch: w.Epoch, Release: w.Release, Instance: w.Instance, Command: command,
		Within: time.Hour, Stdin: strings.NewReader(""), Resize: make(chan deploy.TerminalSize),
	}}
}

// begin runs it in the background.
func (e *errand) begin(w Way) {
	ctx, cancel := context.WithCancel(e.Context())
	e.cancel, e.Stdout, e.Stderr = cancel, e.out, e.err
	go func() {
		defer close(e.ended)
		e.end, e.failed = deploy.Exec(ctx, w.Target, e.Errand)
	}()
	e.Cleanup(func() { cancel(); <-e.ended })
}

// await waits for its end.
func (e *errand) await() {
	e.Helper()
	select {
	case <-e.ended:
	case <-time.After(patience):
		e.Fatalf("it does not end; it printed %q and %q", e.out, e.err)
	}
	if e.failed != nil {
		e.Fatalf("%v; it printed %q and %q", e.failed, e.out, e.err)
	}
	if e.end.Left != "" {
		e.Errorf("left: %s", e.end.Left)
	}
}

// prints runs a command to its end, and holds what it printed and its status against what is wanted.
func (w Way) prints(t *testing.T, out string, code int, command ...string) *errand {
	t.Helper()
	e := w.errand(t, command...)
	e.begin(w)
	e.await()
	if e.out.String() != out || e.end.ExitCode != code {
		t.Errorf("%q: printed %q and %q, status %d; want %q, status %d", command, e.out, e.err, e.end.ExitCode, out, code)
	}
	return e
}

// sees waits until it has printed a text.
func (e *errand) sees(text string) {
	e.Helper()
	until(e.T, fmt.Sprintf("%q is printed", text), func() bool { return strings.Contains(e.out.String(), text) })
}

func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline, tick := time.NewTimer(patience), time.NewTicker(10*time.Millisecond)
	defer deadline.Stop()
	defer tick.Stop()
	for !holds() {
		select {
		case <-deadline.C:
			t.Fatalf("never: %s", what)
		case <-tick.C:
		}
	}
}

// called are the processes of this machine that have a word on their command line.
func called(t *testing.T, word string) (found []string) {
	t.Helper()
	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil || len(lines) == 0 {
		t.Fatalf("processes cannot be listed: %v", err)
	}
	for _, line := range lines {
		if text, err := os.ReadFile(line); err == nil && bytes.Contains(text, []byte(word)) {
			found = append(found, string(bytes.ReplaceAll(text, []byte{0}, []byte{' '})))
		}
	}
	return found
}

// Run holds the target to all of it.
func (w Way) Run(t *testing.T) {
	t.Run("it runs in the files of the instance with what that is given", w.runsInPlace)
	t.Run("output and status come as they are", w.comesAsItIs)
	t.Run("what is piped in arrives whole, and ends", w.takesInput)
	t.Run("nothing is left of it", w.leavesNothing)
	t.Run("it is ended with all that it started", w.isEnded)
	t.Run("it has a terminal where that is asked for", w.hasTerminal)
	t.Run("a keeper that was replaced runs nothing", w.isFenced)
}

func (w Way) runsInPlace(t *testing.T) {
	w.prints(t, "hello\n", 0, "cat", "greeting")
	w.prints(t, fmt.Sprintf("%d %s it's $5 %s none\n", w.Release.Number, w.Instance.ID, w.Token), 0,
		"sh", "-c", `echo "$TOWPATH_RELEASE $TOWPATH_INSTANCE $GREETING $TOKEN ${PORT-none}"`)
	e := w.errand(t, "true")
	e.Instance.ID = towpath.InstanceID(w.Release.Number, 999)
	e.begin(w)
	<-e.ended
	if e.failed == nil {
		t.Error("it runs in an instance that is not there")
	}
}

func (w Way) comesAsItIs(t *testing.T) {
	w.prints(t, "a b\n\n'\n$HOME\n\\n\n", 0, "printf", "%s\n", "a b", "", "'", "$HOME", `\n`)
	if e := w.prints(t, "out\n", 7, "sh", "-c", "echo out; echo err >&2; exit 7"); e.err.String() != "err\n" {
		t.Errorf("%q", e.err)
	}
	if e := w.prints(t, "", 127, "no-such-program"); !strings.Contains(e.err.String(), "no-such-program") {
		t.Errorf("%q", e.err)
	}
	w.prints(t, "", 143, "sh", "-c", "kill -TERM $$")
	w.prints(t, strings.Repeat("x", 4<<20), 0, "sh", "-c", "head -c 4194304 /dev/zero | tr '\\0' x")
}

func (w Way) takesInput(t *testing.T) {
	everything := make([]byte, 1<<20)
	for n := range everything {
		everything[n] = byte(n)
	}
	e := w.errand(t, "cat")
	e.Stdin = bytes.NewReader(everything)
	e.begin(w)
	e.await()
	if e.out.String() != string(everything) {
		t.Errorf("of %d bytes %d came back", len(everything), len(e.out.String()))
	}
	typed, _ := io.Pipe() // of which nothing ever comes, and which nobody closes
	deaf := w.errand(t, "true")
	deaf.Stdin = typed
	deaf.begin(w)
	deaf.await()
}

func (w Way) leavesNothing(t *testing.T) {
	word := "left-" + strings.ToLower(rand.Text())
	w.prints(t, "begun\n", 3, "sh", "-c", "sh -c 'while :; do sleep 1; done' "+word+" & (setsid sh -c 'while :; do sleep 1; done' "+word+
		" </dev/null >/dev/null 2>&1 &); echo begun; exit 3")
	if left := called(t, word); len(left) > 0 {
		t.Errorf("still there: %q", left)
	}
}

func (w Way) isEnded(t *testing.T) {
	word := "ended-" + strings.ToLower(rand.Text())
	e := w.errand(t, "sh", "-c", "trap 'echo asked; exit 9' TERM; (setsid sh -c 'while :; do sleep 1; done' "+word+" &); echo begun; while :; do sleep 0.1; done", word)
	e.Stdin, _ = io.Pipe()
	e.begin(w)
	e.sees("begun")
	e.cancel()
	e.await()
	if !strings.Contains(e.out.String(), "asked") || e.end.ExitCode != 9 {
		t.Errorf("%q, %+v", e.out, e.end)
	}
	if left := called(t, word); len(left) > 0 {
		t.Errorf("still there: %q", left)
	}
}

func (w Way) hasTerminal(t *testing.T) {
	typed, person := io.Pipe()
	sizes := make(chan deploy.TerminalSize)
	e := w.errand(t, "sh", "-c", `test -t 0 && test -t 1 && test -t 2 && stty size; read -r line; echo "read $line"; stty size; exit 5`)
	e.Stdin, e.Terminal, e.Resize = typed, &deploy.TerminalSize{Rows: 33, Columns: 77}, sizes
	e.begin(w)
	e.sees("33 77\r\n")
	sizes <- deploy.TerminalSize{Rows: 44, Columns: 88}
	if _, err := person.Write([]byte("a line\n")); err != nil {
		t.Fatal(err)
	}
	e.sees("read a line\r\n44 88\r\n")
	e.await()
	if e.end.ExitCode != 5 {
		t.Errorf("%+v", e.end)
	}
}

func (w Way) isFenced(t *testing.T) {
	e := w.errand(t, "echo", "run")
	e.Epoch.Number--
	e.begin(w)
	<-e.ended
	var stale *deploy.StaleEpoch
	if !errors.As(e.failed, &stale) || e.out.String() != "" {
		t.Errorf("%v; it printed %q", e.failed, e.out)
	}
}

// Package executortest holds every way of running scripts to the same promises.
package executortest

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/towpath-cd/towpath/internal/executor"
)

// Way is what the suite has to know of a way to run scripts. Scripts are of the shell's portable part, and what they call
// is in every busybox.
type Way struct {
	// New makes the executor, whose clean-up it leaves to t.
	New func(t *testing.T) executor.Executor
	// Prepare makes a script's folders fit for the way; may be nil.
	Prepare func(t *testing.T, script *executor.Script)
	// Env is what scripts need to find their commands.
	Env []string
	// Own are beginnings of variables that the way adds.
	Own []string
	// Timeout is one in which a script comes to its first word, most of the time.
	Timeout time.Duration
	// IsSlow has a short test try a part of the promises.
	IsSlow bool
}

// Run runs the suite.
func (w Way) Run(t *testing.T) {
	t.Setenv(operatorsOwn, "private")
	all := append(promises(), sessionPromises()...)
	if testing.Short() && w.IsSlow {
		all = append(promises()[:4], sessionPromises()[0])
	}
	for _, promise := range all {
		t.Run(promise.name, func(t *testing.T) {
			t.Parallel()
			promise.kept(t, w)
		})
	}
}

type promise struct {
	name string
	kept func(*testing.T, Way)
}

// promises lists all of them. The first few are those that a way which is slow is held to in a short test.
func promises() []promise {
	return []promise{
		{"output is in order and whole", outputIsWhole},
		{"the environment is what was given", environmentIsGiven},
		{"a daemon does not outlive it", daemonDoesNotOutliveIt},
		{"an interrupt leaves it its grace", interruptLeavesGrace},
		{"output may be of any bytes", outputMayBeOfAnyBytes},
		{"the status is reported", statusIsReported},
		{"a command that fails stops the script", failingCommandStops},
		{"a shell that is missing is told", missingShellIsTold},
		{"nothing is an argument that may be secret", nothingSecretIsAnArgument},
		{"the standard input is empty", inputIsEmpty},
		{"a script may be long", scriptMayBeLong},
		{"it runs in its folder", runsInItsFolder},
		{"the worker has what the script wrote", workerHasWhatWasWritten},
		{"a timeout ends it", timeoutEndsIt},
		{"it is killed when it ignores every signal", ignoringSignalsIsInVain},
		{"it does not start when it is too late", tooLateIsNotStarted},
		{"a daemon does not outlive its interrupt", daemonDoesNotOutliveTheInterrupt},
		{"what holds the output does not delay its end", holderDoesNotDelay},
		{"output that cannot be written is an error beside", brokenOutputIsBeside},
	}
}

// operatorsOwn is a variable of the worker's that no script is to see.
const operatorsOwn = "OPERATORS_OWN"

// wait bounds whatever a promise waits for.
const wait = time.Minute

// script is one of the way's, in fresh folders.
func (w Way) script(t *testing.T, text string) (executor.Script, *output) {
	t.Helper()
	out := &output{changed: make(chan struct{})}
	script := executor.Script{
		Text: text, Shell: "sh", Dir: t.TempDir(), Scratch: t.TempDir(), Env: w.Env, Output: out, Grace: 30 * time.Second,
	}
	if w.Prepare != nil {
		w.Prepare(t, &script)
	}
	return script, out
}

// ran runs a script to its end, which has to be clean.
func (w Way) ran(t *testing.T, script executor.Script) executor.Result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), wait)
	defer cancel()
	result, err := w.New(t).Run(ctx, script)
	if err != nil {
		t.Fatalf("%+v, %v", result, err)
	}
	return result
}

// begin runs a script until it prints a word, and answers how to end it.
func (w Way) begin(t *testing.T, script executor.Script, word string) (end func(cause error) executor.Result) {
	t.Helper()
	out, ok := script.Output.(*output)
	if !ok {
		t.Fatal("the script's output is another one")
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	results := make(chan executor.Result, 1)
	failed := make(chan error, 1)
	go func() {
		result, err := w.New(t).Run(ctx, script)
		if err != nil {
			failed <- err
			return
		}
		results <- result
	}()
	await := func(event <-chan struct{}) (executor.Result, bool) {
		t.Helper()
		select {
		case <-event:
			return executor.Result{}, false
		case result := <-results:
			return result, true
		case err := <-failed:
			t.Fatal(err)
		case <-time.After(wait):
			t.Fatalf("never: %q, or the end; printed so far: %q", word, out)
		}
		return executor.Result{}, false
	}
	if result, ended := await(out.has(word)); ended && !strings.Contains(out.String(), word) {
		t.Fatalf("ended before it printed %q: %+v, %q", word, result, out)
	}
	return func(cause error) executor.Result {
		cancel(cause)
		result, _ := await(nil)
		return result
	}
}

// output is what a script printed so far.
type output struct {
	mutex   sync.Mutex
	text    bytes.Buffer
	changed chan struct{}
}

func (o *output) Write(p []byte) (int, error) {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	close(o.changed)
	o.changed = make(chan struct{})
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	return o.text.String()
}

// has is closed when a word was printed.
func (o *output) has(word string) <-chan struct{} {
	printed := make(chan struct{})
	go func() {
		for {
			o.mutex.Lock()
			found, changed := strings.Contains(o.text.String(), word), o.changed
			o.mutex.Unlock()
			if found {
				close(printed)
				return
			}
			<-changed
		}
	}()
	return printed
}

var errCanceled = errors.New("canceled by Ada")

// mark is a word by which a test finds its own processes among those of the machine.
func mark(t *testing.T) string { return "marked-" + filepath.Base(filepath.Dir(t.TempDir())) }

// marked lists the command lines on this machine that hold a word, in whatever namespace. Their arguments are parted by
// blanks.
func marked(t *testing.T, word string) []string {
	t.Helper()
	paths, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no processes are to be seen: %v", err)
	}
	var lines []string
	for _, path := range paths {
		line, _ := os.ReadFile(path) // one that has ended holds nothing
		if bytes.Contains(line, []byte(word)) {
			lines = append(lines, strings.ReplaceAll(string(line), "\x00", " "))
		}
	}
	return lines
}

func mustBeGone(t *testing.T, word string) {
	t.Helper()
	if left := marked(t, word); len(left) > 0 {
		t.Errorf("still there: %q", left)
	}
}

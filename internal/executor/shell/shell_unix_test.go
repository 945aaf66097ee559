//go:build unix

package shell_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/towpath-cd/towpath/internal/executor"
	"github.com/towpath-cd/towpath/internal/executor/shell"
)

func script(t *testing.T, text string) (executor.Script, *bytes.Buffer) {
	t.Helper()
	out := new(bytes.Buffer)
	return executor.Script{
		Text: text, Dir: t.TempDir(), Scratch: t.TempDir(), Env: []string{"PATH=" + os.Getenv("PATH")}, Output: out,
		Grace: 10 * time.Second,
	}, out
}

func run(ctx context.Context, t *testing.T, s executor.Script) executor.Result {
	t.Helper()
	result, err := shell.New().Run(ctx, s)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

func TestAScriptStopsAtTheFirstCommandThatFails(t *testing.T) {
	for _, text := range []string{"false; echo on", "false | true; echo on", "echo $no_such_variable; echo on"} {
		s, out := script(t, text)
		if result := run(t.Context(), t, s); result.Passed() || strings.Contains(out.String(), "on") {
			t.Errorf("%q: %+v, %q", text, result, out)
		}
	}
}

func TestAnyProgramMayBeTheShell(t *testing.T) {
	tests := []struct{ shell, text, want string }{
		{"sh", "echo $0 | sed 's|.*/||'", "script\n"},
		{"bash --posix", "echo $POSIXLY_CORRECT", "y\n"},
		{"awk -f", `BEGIN { print "awk" }`, "awk\n"},
		{"./own", "text", "own of the repository\n"},
	}
	for _, tt := range tests {
		s, out := script(t, tt.text)
		s.Shell = tt.shell
		own := filepath.Join(s.Dir, "own")
		if err := os.WriteFile(own, []byte("#!/bin/sh\necho own of the repository\n"), 0o755); err != nil {
			t.Fatal(err)
		}
		if result := run(t.Context(), t, s); !result.Passed() || out.String() != tt.want {
			t.Errorf("%s: %+v, %q", tt.shell, result, out)
		}
	}
}

func TestAMissingShellIsSaidAndNothingRuns(t *testing.T) {
	s, out := script(t, "echo on")
	s.Shell = "no-such-shell -x"
	result := run(t.Context(), t, s)
	if result.Outcome != executor.NotStarted || result.Reason != `this worker has no shell "no-such-shell"` || out.Len() > 0 {
		t.Errorf("%+v, %q", result, out)
	}
}

func TestTimeoutAndInterruptAreToldApart(t *testing.T) {
	s, _ := script(t, "sleep 1000")
	s.Timeout = 50 * time.Millisecond
	if result := run(t.Context(), t, s); result.Outcome != executor.TimedOut || result.Reason != "timed out after 50ms" {
		t.Errorf("%+v", result)
	}
	s, _ = script(t, "echo ready; sleep 1000")
	s.Timeout = time.Hour
	ctx, cancel := context.WithCancelCause(t.Context())
	s.Output = onWrite(func() { cancel(errors.New("canceled by Ada")) })
	if result := run(ctx, t, s); result.Outcome != executor.Interrupted || result.Reason != "canceled by Ada" {
		t.Errorf("%+v", result)
	}
	if result := run(ctx, t, s); result.Outcome != executor.Interrupted {
		t.Errorf("started too late: %+v", result)
	}
}

type onWrite func()

func (f onWrite) Write(p []byte) (int, error) {
	f()
	return len(p), nil
}

type full struct{}

var errFull = errors.New("disk is full")

func (full) Write([]byte) (int, error) { return 0, errFull }

func TestOutputThatCannotBeWrittenIsAnErrorBesideTheResult(t *testing.T) {
	s, _ := script(t, "echo on; exit 3")
	s.Output = full{}
	result, err := shell.New().Run(t.Context(), s)
	if !errors.Is(err, errFull) || result.ExitCode != 3 {
		t.Errorf("%+v, %v", result, err)
	}
}

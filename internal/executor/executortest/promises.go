package executortest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/towpath-cd/towpath/internal/executor"
)

func outputIsWhole(t *testing.T, w Way) {
	const lines, flood = 500, 3_000_000
	var want strings.Builder
	for i := range lines {
		fmt.Fprintf(&want, "out %d\nerr %d\n", i, i)
	}
	script, out := w.script(t, fmt.Sprintf(
		`i=0; while [ $i -lt %d ]; do echo out $i; echo err $i >&2; i=$((i+1)); done; head -c %d /dev/zero; printf end`, lines, flood))
	if result := w.ran(t, script); !result.Passed() {
		t.Errorf("%+v", result)
	}
	got, hasFlood := strings.CutPrefix(out.String(), want.String())
	if !hasFlood {
		t.Errorf("out of order: %.200q …", out)
	}
	if len(got) != flood+len("end") || !strings.HasSuffix(got, "end") {
		t.Errorf("%d bytes of %d after the lines, the last are %q", len(got), flood+len("end"), got[max(0, len(got)-10):])
	}
}

func outputMayBeOfAnyBytes(t *testing.T, w Way) {
	script, out := w.script(t, `printf '\377\376\000\n\033[1mbold\r'`)
	w.ran(t, script)
	if want := "\xff\xfe\x00\n\x1b[1mbold\r"; out.String() != want {
		t.Errorf("%q, want %q", out, want)
	}
}

func statusIsReported(t *testing.T, w Way) {
	for _, tt := range []struct {
		text   string
		want   executor.Result
		killed bool
	}{
		{text: "exit 0", want: executor.Ended(0, 0)},
		{text: "exit 7", want: executor.Ended(7, 0)},
		{text: "no-such-command", want: executor.Ended(127, 0)},
		{text: "kill -KILL $$", want: executor.Ended(-1, syscall.SIGKILL), killed: true},
	} {
		script, out := w.script(t, tt.text)
		result := w.ran(t, script)
		if tt.killed { // a way that learns of the shell's end by another process learns a status, not the signal
			if result.Passed() || result.Outcome != executor.Exited || !strings.Contains(result.Reason, tt.want.Reason) {
				t.Errorf("%s: %+v", tt.text, result)
			}
			continue
		}
		if result != tt.want {
			t.Errorf("%s: %+v, want %+v; %q", tt.text, result, tt.want, out)
		}
	}
}

func failingCommandStops(t *testing.T, w Way) {
	for _, text := range []string{"false; echo on", "echo $no_such_variable; echo on", "(exit 3); echo on"} {
		script, out := w.script(t, text)
		if result := w.ran(t, script); result.Passed() || strings.HasSuffix(out.String(), "on\n") {
			t.Errorf("%q: %+v, %q", text, result, out)
		}
	}
}

func missingShellIsTold(t *testing.T, w Way) {
	script, out := w.script(t, "echo on")
	script.Shell = "no-such-shell -x"
	result := w.ran(t, script)
	if result.Outcome != executor.NotStarted || !strings.Contains(result.Reason, `no shell "no-such-shell"`) || out.String() != "" {
		t.Errorf("%+v, %q", result, out)
	}
}

func environmentIsGiven(t *testing.T, w Way) {
	if os.Getenv(operatorsOwn) == "" {
		t.Fatal("there is nothing to be hidden")
	}
	script, out := w.script(t, `env`)
	script.Env = append(slices.Clone(w.Env), "EMPTY=", `QUOTED=a "b" 'c' $(d) \e`, "MODE=fast")
	w.ran(t, script)
	var got []string
	for line := range strings.Lines(out.String()) {
		isOwn := func(begin string) bool { return strings.HasPrefix(line, begin) }
		if !slices.ContainsFunc(append([]string{"PWD=", "SHLVL=", "_=", "OLDPWD="}, w.Own...), isOwn) {
			got = append(got, strings.TrimSuffix(line, "\n"))
		}
	}
	want := slices.Clone(script.Env)
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	manyLines(t, w)
}

func manyLines(t *testing.T, w Way) {
	script, out := w.script(t, `printf %s "$KEY"`)
	script.Env = append(slices.Clone(w.Env), "KEY=-----BEGIN-----\nline\n\n-----END-----\n")
	w.ran(t, script)
	if want := "-----BEGIN-----\nline\n\n-----END-----\n"; out.String() != want {
		t.Errorf("%q, want %q", out, want)
	}
}

func nothingSecretIsAnArgument(t *testing.T, w Way) {
	secret := mark(t)
	script, _ := w.script(t, "echo ready # "+secret+"\nwhile :; do sleep 0.02; done")
	script.Env = append(slices.Clone(w.Env), "TOKEN="+secret)
	end := w.begin(t, script, "ready")
	if seen := marked(t, secret); len(seen) > 0 {
		t.Errorf("everybody on the machine sees %q", seen)
	}
	end(errCanceled)
}

func inputIsEmpty(t *testing.T, w Way) {
	script, out := w.script(t, "cat; read -r line || echo nothing")
	if result := w.ran(t, script); !result.Passed() || out.String() != "nothing\n" {
		t.Errorf("%+v, %q", result, out)
	}
}

func scriptMayBeLong(t *testing.T, w Way) {
	script, out := w.script(t, strings.Repeat(": "+strings.Repeat("x", 98)+"\n", 2048)+"echo end")
	if len(script.Text) < 200<<10 {
		t.Fatalf("only %d bytes", len(script.Text))
	}
	if result := w.ran(t, script); !result.Passed() || out.String() != "end\n" {
		t.Errorf("%+v, %q", result, out)
	}
}

func runsInItsFolder(t *testing.T, w Way) {
	script, out := w.script(t, "pwd; cat 'a file'")
	script.Dir = filepath.Join(script.Dir, "with a blank")
	if err := os.Mkdir(script.Dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(script.Dir, "a file"), []byte("content"), 0o644); err != nil {
		t.Fatal(err)
	}
	if result := w.ran(t, script); !result.Passed() || out.String() != script.Dir+"\ncontent" {
		t.Errorf("%+v, %q", result, out)
	}
}

func workerHasWhatWasWritten(t *testing.T, w Way) {
	script, out := w.script(t, `mkdir -p a/b; echo text >a/b/c; umask 077; mkdir private; echo text >private/file; ln -s a link`)
	if result := w.ran(t, script); !result.Passed() {
		t.Fatalf("%+v, %q", result, out)
	}
	for _, name := range []string{"a/b/c", "private/file", "link/b/c"} {
		if content, err := os.ReadFile(filepath.Join(script.Dir, name)); err != nil || string(content) != "text\n" {
			t.Errorf("%s: %q, %v", name, content, err)
		}
	}
	if err := os.RemoveAll(script.Dir); err != nil {
		t.Error(err)
	}
}

func timeoutEndsIt(t *testing.T, w Way) {
	word := mark(t)
	script, out := w.script(t, "echo ready; sh -c 'while :; do sleep 1; done' "+word)
	script.Timeout = w.Timeout
	result := w.ran(t, script)
	if want := executor.Expired(w.Timeout); result != want || !strings.HasPrefix("ready\n", out.String()) {
		t.Errorf("%+v, want %+v; %q", result, want, out)
	}
	mustBeGone(t, word)
}

func interruptLeavesGrace(t *testing.T, w Way) {
	script, out := w.script(t, "trap 'echo bye; exit 5' TERM; echo ready; while :; do sleep 0.02; done")
	result := w.begin(t, script, "ready")(errCanceled)
	said := strings.HasPrefix(out.String(), "ready\n") && strings.HasSuffix(out.String(), "bye\n") // and of the sleep, perhaps
	if result.Outcome != executor.Interrupted || result.Reason != errCanceled.Error() || !said {
		t.Errorf("%+v, %q", result, out)
	}
}

func ignoringSignalsIsInVain(t *testing.T, w Way) {
	word := mark(t)
	script, _ := w.script(t, "trap '' TERM INT HUP QUIT USR1; sh -c 'echo ready; while :; do sleep 1; done' "+word)
	script.Grace = 50 * time.Millisecond
	result := w.begin(t, script, "ready")(errCanceled)
	if result.Outcome != executor.Interrupted || result.Reason != errCanceled.Error() {
		t.Errorf("%+v", result)
	}
	mustBeGone(t, word)
}

func tooLateIsNotStarted(t *testing.T, w Way) {
	script, out := w.script(t, "echo on")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errCanceled)
	result, err := w.New(t).Run(ctx, script)
	if err != nil || result.Outcome != executor.Interrupted || result.Reason != errCanceled.Error() || out.String() != "" {
		t.Errorf("%+v, %v, %q", result, err, out)
	}
}

// daemon leaves its parent, its session and the script's environment, and tells of itself by a file.
func daemon(word string) string {
	return `(setsid env -i PATH="$PATH" DAEMON=1 sh -c 'echo $$ >daemon.new; mv daemon.new daemon; while :; do sleep 1; done' ` +
		word + ` </dev/null >/dev/null 2>&1 &); while ! test -e daemon; do sleep 0.02; done; `
}

func daemonDoesNotOutliveIt(t *testing.T, w Way) {
	word := mark(t)
	script, out := w.script(t, daemon(word)+"echo end")
	if result := w.ran(t, script); !result.Passed() || out.String() != "end\n" {
		t.Errorf("%+v, %q", result, out)
	}
	mustBeGone(t, word)
}

func daemonDoesNotOutliveTheInterrupt(t *testing.T, w Way) {
	word := mark(t)
	script, _ := w.script(t, daemon(word)+"echo ready; while :; do sleep 0.02; done")
	end := w.begin(t, script, "ready")
	if len(marked(t, word)) == 0 {
		t.Error("the daemon never was there")
	}
	end(errCanceled)
	mustBeGone(t, word)
}

func holderDoesNotDelay(t *testing.T, w Way) {
	word := mark(t)
	script, out := w.script(t, "sh -c 'while :; do sleep 1; done' "+word+" & echo last")
	if result := w.ran(t, script); !result.Passed() || out.String() != "last\n" {
		t.Errorf("%+v, %q", result, out)
	}
	mustBeGone(t, word)
}

type full struct{}

var errFull = errors.New("disk is full")

func (full) Write([]byte) (int, error) { return 0, errFull }

func brokenOutputIsBeside(t *testing.T, w Way) {
	script, _ := w.script(t, "echo on; head -c 1000000 /dev/zero; exit 3")
	script.Output = full{}
	ctx, cancel := context.WithTimeout(t.Context(), wait)
	defer cancel()
	result, err := w.New(t).Run(ctx, script)
	if !errors.Is(err, errFull) || result != executor.Ended(3, 0) {
		t.Errorf("%+v, %v", result, err)
	}
}

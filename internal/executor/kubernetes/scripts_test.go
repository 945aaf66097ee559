//go:build unix

package kubernetes

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/towpath-cd/towpath/internal/executor"
)

func TestVariablesReachTheScriptByTheShellsOwnMeans(t *testing.T) {
	env := []string{"PLAIN=1", "EMPTY=", "ODD=a 'b' \"c\" $(d) `e` \\ \xff", "LINES=one\n\n'two'\n", "UID=7", "IFS=x", "PATH=" + os.Getenv("PATH")}
	written, err := environment(env)
	if err != nil {
		t.Fatal(err)
	}
	for name, shell := range shells(t) {
		control, spool, dir := t.TempDir(), t.TempDir(), t.TempDir()
		script := filepath.Join(dir, "script")
		if err := errors.Join(
			os.WriteFile(filepath.Join(control, "env"), written, 0o600), os.WriteFile(filepath.Join(control, "go"), nil, 0o600),
			os.WriteFile(script, []byte(`printf '%s|' "$PLAIN" "$EMPTY" "$ODD" "$LINES" "$IFS" "${KUBERNETES_SERVICE_HOST-gone}"; pwd; cat; exit 7`), 0o600),
		); err != nil {
			t.Fatal(err)
		}
		args := append(slices.Clone(shell[1:]), "-c", runScript, "sh", control, spool, dir)
		command := exec.Command(shell[0], append(args, commandOf(executor.Script{Scratch: dir})...)...)
		command.Env = append(os.Environ(), "KUBERNETES_SERVICE_HOST=10.0.0.1")
		command.Stdin = strings.NewReader("what the script does not see")
		said, err := command.CombinedOutput()
		var status *exec.ExitError
		if !errors.As(err, &status) || status.ExitCode() != 7 || len(said) > 0 {
			t.Errorf("%s: %v, %s", name, err, said)
		}
		// dash begins with a field separator of its own, whatever it is given (POSIX.1-2017, Shell Command Language, 2.5.3).
		got, err := os.ReadFile(filepath.Join(spool, "output"))
		want := "1||a 'b' \"c\" $(d) `e` \\ \xff|one\n\n'two'\n| \t\n|gone|" + dir + "\n"
		if normal := strings.Replace(string(got), "|x|", "| \t\n|", 1); err != nil || normal != want {
			t.Errorf("%s: %q, %v, want %q", name, got, err, want)
		}
	}
	if _, err := environment([]string{"a-b=1"}); err == nil {
		t.Error("a name that is none passed")
	}
}

func TestOutputIsTakenUpAtAnyByte(t *testing.T) {
	spool := t.TempDir()
	if err := os.WriteFile(filepath.Join(spool, "output"), []byte("0123456789"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, shell := range shells(t) {
		for from, want := range map[string]string{"1": "0123456789", "4": "3456789", "11": "", "12": ""} {
			command := exec.Command(shell[0], append(slices.Clone(shell[1:]), "-c", restScript, "sh", spool, from)...)
			var size bytes.Buffer
			command.Stderr = &size
			out, err := command.Output()
			if err != nil || string(out) != want || strings.TrimSpace(size.String()) != "10" {
				t.Errorf("%s from %s: %q of %q, %v", name, from, out, &size, err)
			}
		}
		growing(t, shell)
	}
}

// growing follows a file that grows, from its fourth byte on.
func growing(t *testing.T, shell []string) {
	t.Helper()
	spool := t.TempDir()
	file, err := os.Create(filepath.Join(spool, "output"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if _, err := file.WriteString("xxx"); err != nil { // which has come already
		t.Fatal(err)
	}
	command := exec.CommandContext(t.Context(), shell[0], append(slices.Clone(shell[1:]), "-c", tellScript, "sh", spool, "4")...)
	out, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	var got bytes.Buffer
	for _, part := range []string{"1", "2", "34\xff", "5"} {
		if _, err := file.WriteString(part); err != nil {
			t.Fatal(err)
		}
		text := make([]byte, len(part))
		if _, err := io.ReadFull(out, text); err != nil {
			t.Fatal(err)
		}
		got.Write(text)
	}
	if got.String() != "1234\xff5" {
		t.Errorf("%q", got.String())
	}
	_ = command.Process.Kill()
	_ = command.Wait()
}

func TestAStreamThatWasGivenUpWritesNothingMore(t *testing.T) {
	var text bytes.Buffer
	o := &output{to: &text}
	first, from := o.begin()
	if _, err := first.Write([]byte("abc")); err != nil || from != 1 {
		t.Error(from, err)
	}
	second, from := o.begin()
	if _, err := first.Write([]byte("def")); !errors.Is(err, errUnread) || from != 4 {
		t.Error(from, err)
	}
	if _, err := second.Write([]byte("def")); err != nil || text.String() != "abcdef" {
		t.Error(text.String(), err)
	}
	if err := o.end(); err != nil {
		t.Error(err)
	}
	if _, err := second.Write([]byte("!")); !errors.Is(err, errUnread) || text.String() != "abcdef" {
		t.Error(text.String(), err)
	}
}

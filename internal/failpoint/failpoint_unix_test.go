//go:build unix

package failpoint_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/towpath-cd/towpath/internal/durable"
	"github.com/towpath-cd/towpath/internal/failpoint"
)

// role makes this program one that passes every kind of place, and says how far it came.
const role = "FAILPOINT_TEST_WRITES"

func TestMain(m *testing.M) {
	if path := os.Getenv(role); path != "" {
		pass(path)
		os.Exit(0)
	}
	os.Exit(m.Run())
}

type stumble struct{}

func pass(path string) {
	place := failpoint.At("walk on")
	place.Before()
	os.Stdout.WriteString("walked ")
	place.After()
	failpoint.Of("perform", stumble{}).Before()
	os.Stdout.WriteString("performed ")
	if err := durable.WriteFile(path, []byte("new")); err != nil { // the line that a test below names
		os.Exit(1)
	}
	os.Stdout.WriteString("wrote")
}

// walk runs it with the folder that is given, and answers what it said and how it ended.
func walk(t *testing.T, points, path string) (said string, state *os.ProcessState) {
	t.Helper()
	command := exec.Command(os.Args[0])
	command.Env = append(os.Environ(), role+"="+path, failpoint.Variable+"="+points)
	out, err := command.Output()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out)), command.ProcessState
}

func arm(t *testing.T, points, side string) {
	t.Helper()
	if err := errors.Join(
		os.MkdirAll(filepath.Join(points, failpoint.Died), 0o700),
		os.WriteFile(filepath.Join(points, failpoint.FileOf(side)), nil, 0o600),
	); err != nil {
		t.Fatal(err)
	}
}

func TestAProcessDiesOnceAtEachSideThatIsNamed(t *testing.T) {
	for side, says := range map[string]string{
		"walk on before": "", "walk on after": "walked", "perform stumble before": "walked",
		"write " + lineOf(t, "durable.WriteFile(path") + " before": "walked performed",
		"write " + lineOf(t, "durable.WriteFile(path") + " after":  "walked performed",
	} {
		t.Run(side, func(t *testing.T) {
			points, path := t.TempDir(), filepath.Join(t.TempDir(), "file")
			arm(t, points, side)
			said, state := walk(t, points, path)
			status, _ := state.Sys().(syscall.WaitStatus)
			if said != says || status.Signal() != syscall.SIGKILL {
				t.Errorf("it said %q and ended by %s", said, state)
			}
			died, err := os.ReadFile(filepath.Join(points, failpoint.Died, failpoint.FileOf(side)))
			if err != nil || string(died) != strconv.Itoa(state.Pid()) {
				t.Errorf("it is noted that process %q died, %v", died, err)
			}
			_, err = os.Stat(path)
			if isThere := err == nil; isThere != (strings.HasPrefix(side, "write") && strings.HasSuffix(side, "after")) {
				t.Errorf("that the file is there is %t", isThere)
			}
			if said, state := walk(t, points, path); said != "walked performed wrote" || !state.Success() {
				t.Errorf("the second time it said %q and ended with %s", said, state)
			}
		})
	}
}

// lineOf names the place of a call in this file.
func lineOf(t *testing.T, call string) string {
	t.Helper()
	const name = "failpoint_unix_test.go"
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	before, _, _ := strings.Cut(string(text), call)
	return "failpoint/" + name + ":" + strconv.Itoa(1+strings.Count(before, "\n"))
}

func TestNothingHappensWhereNothingIsNamed(t *testing.T) {
	for _, points := range []string{"", t.TempDir(), filepath.Join(t.TempDir(), "missing")} {
		if said, state := walk(t, points, filepath.Join(t.TempDir(), "file")); said != "walked performed wrote" || !state.Success() {
			t.Errorf("with %q it said %q and ended with %s", points, said, state)
		}
	}
}

func TestAProcessIsFrozenWhereThatIsSaidAndGoesOn(t *testing.T) {
	points := t.TempDir()
	arm(t, points, "walk on after")
	side := failpoint.FileOf("walk on after")
	if err := os.WriteFile(filepath.Join(points, side), []byte(failpoint.Freezing), 0o600); err != nil {
		t.Fatal(err)
	}
	command := exec.Command(os.Args[0])
	command.Env = append(os.Environ(), role+"="+filepath.Join(t.TempDir(), "file"), failpoint.Variable+"="+points)
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	var status syscall.WaitStatus
	if _, err := syscall.Wait4(command.Process.Pid, &status, syscall.WUNTRACED, nil); err != nil || !status.Stopped() {
		t.Fatalf("it is not stopped: %v, %v", status, err)
	}
	if died, err := os.ReadFile(filepath.Join(points, failpoint.Died, side)); err != nil || string(died) != strconv.Itoa(command.Process.Pid) {
		t.Errorf("it is noted that process %q was stopped, %v", died, err)
	}
	if err := command.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	if err := command.Wait(); err != nil {
		t.Errorf("it went on to %v", err)
	}
}

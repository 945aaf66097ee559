//go:build unix

package secret_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/towpath-cd/towpath/internal/secret"
)

// stopped is a clock that a test moves.
type stopped struct {
	mutex sync.Mutex
	at    time.Time
}

func (c *stopped) now() time.Time {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	return c.at
}

func (c *stopped) pass(d time.Duration) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.at = c.at.Add(d)
}

// vault is commands named "it", the shell script of which counts its calls in a file.
func vault(t *testing.T, script string, keep time.Duration) (commands *secret.Commands, clock *stopped, calls func() int) {
	t.Helper()
	counter := filepath.Join(t.TempDir(), "calls")
	clock = &stopped{at: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)}
	commands = secret.NewCommands(map[string]secret.Command{
		"it": {Args: []string{"sh", "-c", "echo >>" + counter + "; " + script, "not $HOME"}, Projects: []string{"shop"}, Keep: keep},
	}, clock.now)
	return commands, clock, func() int {
		text, _ := os.ReadFile(counter)
		return strings.Count(string(text), "\n")
	}
}

func TestACommandsValueIsWhatItPrints(t *testing.T) {
	for script, want := range map[string]string{
		"echo hunter2":                 "hunter2",
		`printf 'one\ntwo\n'`:          "one\ntwo\n",
		"echo hunter2; echo noise >&2": "hunter2",
		`echo "$0"`:                    "not $HOME", // no shell of ours takes arguments apart
	} {
		commands, _, _ := vault(t, script, 0)
		if value, err := commands.Fetch(t.Context(), "it"); err != nil || value != want {
			t.Errorf("%s: %q, %v", script, value, err)
		}
	}
}

func TestACommandThatFailsSaysWhyWithoutTheValue(t *testing.T) {
	for script, want := range map[string]string{
		"echo hunter2; echo 'permission denied' >&2; echo more >&2; exit 3": "command it exited with status 3: permission denied",
		"echo hunter2; echo 'bad token hunter2' >&2; exit 1":                "command it exited with status 1: bad token ***",
		"exit 4":                               "command it exited with status 4: it did not say why",
		"true":                                 "command it printed nothing",
		"echo abc":                             "command it: a secret needs at least 4 characters: too short to be masked in logs",
		`printf 'a\0b'`:                        "command it printed what is no text",
		`printf '\377\377'`:                    "command it printed what is no text",
		"head -c 70000 /dev/zero | tr '\\0' x": "command it printed more than 65536 bytes",
		"kill -KILL $$":                        "command it was ended by signal 9",
		"head -c 900 /dev/zero | tr '\\0' x >&2; exit 1": "command it exited with status 1: " + strings.Repeat("x", 200) + "…",
	} {
		commands, _, _ := vault(t, script, time.Hour)
		value, err := commands.Fetch(t.Context(), "it")
		if err == nil || err.Error() != want || value != "" {
			t.Errorf("%s: %q, %v", script, value, err)
		}
	}
	commands := secret.NewCommands(map[string]secret.Command{"it": {Args: []string{"no-such-program"}}}, time.Now)
	if _, err := commands.Fetch(t.Context(), "it"); err == nil || !strings.Contains(err.Error(), `"no-such-program": executable file not found`) {
		t.Error(err)
	}
}

func TestAValueIsAskedForEachTimeUnlessItIsKept(t *testing.T) {
	commands, _, calls := vault(t, "echo hunter2", 0)
	fetch := func(n int) {
		t.Helper()
		if value, err := commands.Fetch(t.Context(), "it"); value != "hunter2" || err != nil || calls() != n {
			t.Errorf("%q, %v after %d calls, want %d", value, err, calls(), n)
		}
	}
	fetch(1)
	fetch(2)
	kept, clock, keptCalls := vault(t, "echo hunter2", time.Minute)
	commands, calls = kept, keptCalls
	fetch(1)
	clock.pass(time.Minute - time.Second)
	fetch(1)
	clock.pass(time.Second)
	fetch(2)
}

func TestWhoGivesUpWaitingLeavesTheCommandToOthers(t *testing.T) {
	gate := filepath.Join(t.TempDir(), "gate")
	commands, _, calls := vault(t, "while ! test -e "+gate+"; do sleep 0.01; done; echo hunter2", time.Minute)
	gone, cancel := context.WithCancelCause(t.Context())
	why := errors.New("the worker went away")
	cancel(why)
	if _, err := commands.Fetch(gone, "it"); !errors.Is(err, why) {
		t.Error(err)
	}
	var others sync.WaitGroup
	for range 3 {
		others.Go(func() {
			if value, err := commands.Fetch(t.Context(), "it"); value != "hunter2" || err != nil {
				t.Errorf("%q, %v", value, err)
			}
		})
	}
	if err := os.WriteFile(gate, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if others.Wait(); calls() != 1 {
		t.Errorf("%d calls", calls())
	}
}

func TestWhatIsNotThereIsAskedForBesides(t *testing.T) {
	failing := filepath.Join(t.TempDir(), "failing")
	commands, clock, calls := vault(t, "test -e "+failing+" && exit 7; echo hunter2", 0)
	done := make(chan bool, 9)
	have := func(within time.Duration) (string, bool, error) {
		return commands.Have("it", within, func() { done <- true })
	}
	if _, found, err := have(time.Minute); found || err != nil {
		t.Error(found, err)
	}
	<-done
	if value, found, err := have(time.Minute); value != "hunter2" || !found || err != nil {
		t.Error(value, found, err)
	}
	clock.pass(time.Hour)
	if err := os.WriteFile(failing, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if value, found, _ := have(2 * time.Hour); value != "hunter2" || !found || calls() != 1 {
		t.Error(value, found, calls())
	}
	if _, found, err := have(time.Minute); found || err != nil {
		t.Error(found, err)
	}
	<-done
	for range 2 { // it is left alone for a while
		if _, found, err := have(time.Minute); found || err == nil || !strings.Contains(err.Error(), "status 7") || calls() != 2 {
			t.Error(found, err, calls())
		}
	}
	clock.pass(time.Minute)
	if _, found, err := have(time.Minute); found || err != nil {
		t.Error(found, err)
	}
	<-done
}

func TestOnlyTheNamedProjectsHaveACommand(t *testing.T) {
	commands, _, _ := vault(t, "echo", 0)
	if c, is := commands.For("it", "shop"); !is || !strings.HasPrefix(c.String(), "sh -c ") {
		t.Error(c, is)
	}
	for _, asked := range [][2]string{{"it", "toys"}, {"it", ""}, {"other", "shop"}} {
		if _, is := commands.For(asked[0], asked[1]); is {
			t.Error(asked)
		}
	}
	var none *secret.Commands
	if _, is := none.For("it", "shop"); is {
		t.Error("without settings there is one")
	}
}

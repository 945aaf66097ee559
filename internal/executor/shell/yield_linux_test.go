package shell_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/towpath-cd/towpath/internal/executor"
	"github.com/towpath-cd/towpath/internal/executor/shell"
)

// waysGiven waits until a shell is nicer than who started it, and then says how much it and its session are. Its start may be
// seen before that.
const waysGiven = `until test "$(nice)" -gt "$BEFORE"; do :; done
echo $(($(nice) - BEFORE)) $(sed 's/.*nice //' /proc/self/autogroup || echo 5)`

func TestAScriptLeavesProcessorsToOthers(t *testing.T) {
	for name, way := range map[string]executor.Executor{"as the worker": shell.New(), "as a user": shell.New().Confined(confinement(t))} {
		s, out := script(t, waysGiven)
		s.Env, s.Timeout = append(s.Env, "BEFORE="+niceness(t)), 30*time.Second
		give(t, &s)
		if result, err := way.Run(t.Context(), s); err != nil || !result.Passed() || out.String() != "5 5\n" {
			t.Errorf("%s: %+v, %v, %q", name, result, err, out)
		}
	}
}

// niceness is this process's (proc_pid_stat(5)).
func niceness(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("/proc/self/stat")
	if err != nil {
		t.Fatal(err)
	}
	_, behindName, _ := strings.Cut(string(text), ") ")
	return strings.Fields(behindName)[16]
}

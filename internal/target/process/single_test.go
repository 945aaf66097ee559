//go:build unix

package process_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/deploy"
	"github.com/towpath-cd/towpath/internal/supervise"
)

// clock holds a lock, and so does what it has started. It notes when somebody else has it.
const clock = `exec 9>>"$LOCK"
flock -n 9 || { echo "$TOWPATH_INSTANCE" >>"$LOCK.overlapped"; exit 9; }
[ ! -e "$LOCK.broken" ] || { echo no time; exit 3; }
sleep 1000 & trap '' TERM; echo "$TOWPATH_INSTANCE" >>"$LOCK.begun"; while :; do sleep 0.02; done`

// ticking is a machine with an environment that has a single process, which does not end when it is asked to.
func ticking(t *testing.T) (m *machine, lock string) {
	d := definition(towpath.HealthDefinition{})
	d.Processes = []towpath.ProcessDefinition{{
		Name: "clock", Command: clock, Single: true, Stop: towpath.StopDefinition{Signal: "TERM", Within: 200 * time.Millisecond},
	}}
	m = newMachine(t, d)
	lock = filepath.Join(t.TempDir(), "lock")
	m.release.Env["production"]["LOCK"] = lock
	m.does(deploy.Place{Release: 42, Instances: []string{"r42-1", "r42-2"}})
	return m, lock
}

func (m *machine) seesSingles() []towpath.Single {
	m.Helper()
	seen, err := m.Observe(m.Context())
	if err != nil {
		m.Fatal(err)
	}
	return seen.Singles
}

func TestASingleProcessNeverOverlapsThoughAllThatLookAfterItAreKilled(t *testing.T) {
	m, lock := ticking(t)
	instances := []string{"r42-1", "r42-2"}
	for n := range 6 {
		m.does(deploy.StartSingle{Process: "clock", Instance: instances[n%2]})
		seen := m.seesSingles()
		if len(seen) != 1 || seen[0].Instance != instances[n%2] || seen[0].State != towpath.InstanceRunning {
			t.Fatalf("%+v", seen)
		}
		if n%3 > 0 { // its supervisor is killed, and with n%3 == 2 its keeper after the order to stop
			e := m.single(instances[n%2])
			_ = syscall.Kill(e.State.Supervisor.PID, syscall.SIGKILL)
		}
		if n%3 == 2 {
			orders := supervise.Client{Command: []string{os.Args[0], "supervise"}}
			if err := orders.Dismiss(t.Context(), m.single(instances[n%2]).Dir, supervise.Epoch(m.epoch)); err != nil {
				t.Fatal(err)
			}
			m.epoch.Number++
			m.refusesAnother(instances[(n+1)%2])
		}
		m.does(deploy.StopSingle{Process: "clock", Instance: instances[n%2]})
		if seen := m.seesSingles(); len(seen) != 0 {
			t.Fatalf("%+v", seen)
		}
	}
	if overlapped, err := os.ReadFile(lock + ".overlapped"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s %v", overlapped, err)
	}
	begun, _ := os.ReadFile(lock + ".begun")
	if count := strings.Count(string(begun), "\n"); count != 6 {
		t.Errorf("it began %d times:\n%s", count, begun)
	}
	m.does(deploy.Remove{Instances: instances})
	if left, _ := os.ReadDir(filepath.Join(m.root, "single")); len(left) > 0 {
		t.Errorf("%v is left", left)
	}
}

func (m *machine) single(id string) supervise.Entry {
	m.Helper()
	entries, err := supervise.List(filepath.Join(m.root, "single"))
	n := slices.IndexFunc(entries, func(e supervise.Entry) bool { return e.Spec.Instance == id })
	if err != nil || n < 0 {
		m.Fatalf("%v in %+v", err, entries)
	}
	return entries[n]
}

// refusesAnother says that a keeper which forgot what runs is told.
func (m *machine) refusesAnother(id string) {
	m.Helper()
	var again *deploy.Retryable
	if err := m.do(deploy.StartSingle{Process: "clock", Instance: id}); !errors.As(err, &again) || !strings.Contains(err.Error(), "still") {
		m.Fatalf("a second one was started: %v", err)
	}
}

func TestASingleProcessIsMendedAndASecondOneRefused(t *testing.T) {
	m, lock := ticking(t)
	m.does(deploy.StartSingle{Process: "clock", Instance: "r42-1"})
	m.refusesAnother("r42-2")
	_ = syscall.Kill(m.single("r42-1").State.Supervisor.PID, syscall.SIGKILL)
	_ = syscall.Kill(m.single("r42-1").State.Child.PID, syscall.SIGKILL)
	m.until("it runs again", func() bool {
		m.seesSingles() // has it mended
		e := m.single("r42-1")
		begun, _ := os.ReadFile(lock + ".begun")
		return e.Supervised && e.Alive && strings.Count(string(begun), "\n") == 2
	})
	receipt, err := m.Do(t.Context(), deploy.Order{Epoch: m.epoch, Operation: deploy.StopSingle{Process: "clock", Instance: "r42-1"}})
	if err != nil || receipt.Detail != "clock of r42-1 did not end within 200ms and was killed" {
		t.Errorf("%q %v", receipt.Detail, err)
	}
	m.does(deploy.StopSingle{Process: "clock", Instance: "r42-1"})
}

func TestASingleProcessThatKeepsDyingFailsWithWhatItSaidLast(t *testing.T) {
	m, lock := ticking(t)
	if err := os.WriteFile(lock+".broken", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	var permanent *deploy.Permanent
	err := m.do(deploy.StartSingle{Process: "clock", Instance: "r42-1"})
	if !errors.As(err, &permanent) || !slices.Contains(permanent.Log, "no time") {
		t.Errorf("%v %+v", err, permanent)
	}
}

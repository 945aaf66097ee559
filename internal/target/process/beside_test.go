//go:build unix

package process_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/deploy"
	"github.com/towpath-cd/towpath/internal/supervise"
)

// jobs notes that it runs, and, when it is asked to end by USR1, that it has ended.
const jobs = `trap 'echo "$TOWPATH_PROCESS $PORT" >ended; exit 0' USR1; echo $$ >jobs.pid; while :; do sleep 0.02; done`

// withJobs has a process beside the web process.
func withJobs(command string, stop towpath.StopDefinition) towpath.EnvironmentDefinition {
	d := definition(towpath.HealthDefinition{HTTP: "/"})
	d.Processes = []towpath.ProcessDefinition{{Name: "jobs", Command: command, Stop: stop}}
	return d
}

func (m *machine) file(id, name string) string {
	content, _ := os.ReadFile(filepath.Join(m.root, "files", id, name))
	return strings.TrimSpace(string(content))
}

// process answers the first of an instance's processes beside the web.
func (m *machine) process(id string) towpath.Process {
	m.Helper()
	if all := m.sees(id).Processes; len(all) == 1 {
		return all[0]
	}
	return towpath.Process{}
}

func TestAnInstanceIsItsWebProcessAndWhatRunsBesideIt(t *testing.T) {
	m := newMachine(t, withJobs(jobs, towpath.StopDefinition{Signal: "USR1", Within: time.Minute}))
	m.runs("r42-1")
	if i := m.sees("r42-1"); i.Health != towpath.HealthPassing || m.process("r42-1").State != towpath.InstanceRunning || m.file("r42-1", "jobs.pid") == "" {
		t.Errorf("%+v", i)
	}
	m.does(deploy.Stop{Instances: []string{"r42-1"}})
	if i := m.sees("r42-1"); i.State != towpath.InstanceStopped || m.process("r42-1").State != towpath.InstanceStopped {
		t.Errorf("%+v", i)
	}
	if said := m.file("r42-1", "ended"); said != "jobs" {
		t.Errorf("asked by its own signal, with its name and no port, it said %q", said)
	}
	m.runs("r42-1") // the way back
	m.does(deploy.Stop{Instances: []string{"r42-1"}})
	m.does(deploy.Remove{Instances: []string{"r42-1"}})
	for _, folder := range []string{"files", "run", "beside"} {
		if left, _ := os.ReadDir(filepath.Join(m.root, folder)); len(left) > 0 {
			t.Errorf("%v is left in %s", left, folder)
		}
	}
}

func TestAProcessThatDiesIsStartedAgainAndAnInstanceWithoutItIsNotHealthy(t *testing.T) {
	m := newMachine(t, withJobs(`[ ! -e broken ] || { echo no queue; exit 7; }; `+jobs, towpath.StopDefinition{Signal: "KILL"}))
	m.runs("r42-1")
	first := m.file("r42-1", "jobs.pid")
	m.kill(first)
	m.until("it runs again", func() bool {
		return m.file("r42-1", "jobs.pid") != first && m.sees("r42-1").Health == towpath.HealthPassing
	})
	if err := os.WriteFile(filepath.Join(m.root, "files", "r42-1", "broken"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	m.kill(m.file("r42-1", "jobs.pid"))
	m.until("it is told why the instance is not healthy", func() bool {
		i, p := m.sees("r42-1"), m.process("r42-1")
		return i.Health == towpath.HealthFailing && strings.Contains(i.Problem, "jobs: ended with exit code 7") &&
			i.State == towpath.InstanceRunning && p.State == towpath.InstanceFailing && slices.Contains(p.Log, "no queue")
	})
}

func (m *machine) kill(pid string) {
	m.Helper()
	number, err := strconv.Atoi(pid)
	if err == nil {
		err = syscall.Kill(number, syscall.SIGKILL)
	}
	if err != nil {
		m.Fatal(err)
	}
}

func TestAProcessThatKeepsDyingFailsTheStartWithWhatItSaidLast(t *testing.T) {
	m := newMachine(t, withJobs(`echo the queue is gone; exit 3`, towpath.StopDefinition{Signal: "TERM", Within: time.Second}))
	m.does(deploy.Place{Release: 42, Instances: []string{"r42-1"}})
	m.does(deploy.Start{Instances: []string{"r42-1"}})
	err := m.do(deploy.Probe{Instances: []string{"r42-1"}, Within: time.Minute})
	var permanent *deploy.Permanent
	if !errors.As(err, &permanent) || !strings.Contains(err.Error(), "jobs of r42-1 of release 42 ended 3 times in a row: ended with exit code 3") ||
		!slices.Contains(permanent.Log, "the queue is gone") {
		t.Errorf("%v %+v", err, permanent)
	}
}

func TestWhatRunsAfterItsTimeIsKilledAndThatIsTold(t *testing.T) {
	m := newMachine(t, withJobs(`trap '' TERM; echo $$ >jobs.pid; while :; do sleep 0.02; done`, towpath.StopDefinition{Signal: "TERM", Within: 100 * time.Millisecond}))
	m.runs("r42-1")
	receipt, err := m.Do(t.Context(), deploy.Order{Epoch: m.epoch, Operation: deploy.Stop{Instances: []string{"r42-1"}}, Release: m.release})
	if err != nil || receipt.Detail != "jobs of r42-1 did not end within 100ms and was killed" {
		t.Errorf("%q %v", receipt.Detail, err)
	}
	if p := m.process("r42-1"); p.State != towpath.InstanceStopped {
		t.Errorf("%+v", p)
	}
}

func TestAStopThatWasCutOffIsGoneOnWith(t *testing.T) {
	m := newMachine(t, withJobs(jobs, towpath.StopDefinition{Signal: "USR1", Within: time.Minute}))
	m.runs("r42-1")
	orders := supervise.Client{Command: []string{os.Args[0], "supervise"}}
	beside := filepath.Join(m.root, "beside", "r42-1@jobs")
	if err := orders.Dismiss(t.Context(), beside, supervise.Epoch(m.epoch)); err != nil { // and here its keeper dies
		t.Fatal(err)
	}
	if i := m.sees("r42-1"); i.State != towpath.InstanceRunning {
		t.Errorf("%+v", i)
	}
	m.does(deploy.Stop{Instances: []string{"r42-1"}})
	if i := m.sees("r42-1"); i.State != towpath.InstanceStopped || m.file("r42-1", "ended") == "" {
		t.Errorf("%+v", i)
	}
}

func TestAStartThatWasCutOffLeavesNothingWhenItIsRemoved(t *testing.T) {
	m := newMachine(t, withJobs(jobs, towpath.StopDefinition{Signal: "USR1", Within: time.Minute}))
	m.does(deploy.Place{Release: 42, Instances: []string{"r42-1"}})
	orders := supervise.Client{Command: []string{os.Args[0], "supervise"}}
	dir := filepath.Join(m.root, "files", "r42-1")
	_, err := orders.Launch(t.Context(), filepath.Join(m.root, "beside", "r42-1@jobs"), supervise.Epoch(m.epoch), supervise.Spec{
		Instance: "r42-1", Process: "jobs", Release: 42, Shell: jobs, Dir: dir, Stop: supervise.Stop{Signal: "USR1", Within: time.Minute},
	})
	if err != nil {
		t.Fatal(err)
	}
	if i := m.sees("r42-1"); i.State != towpath.InstancePlaced {
		t.Errorf("%+v", i)
	}
	pid := 0
	m.until("it has begun", func() bool { pid, _ = strconv.Atoi(m.file("r42-1", "jobs.pid")); return pid > 0 })
	m.does(deploy.Remove{Instances: []string{"r42-1"}})
	if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("what was started runs still: %v", err)
	}
}

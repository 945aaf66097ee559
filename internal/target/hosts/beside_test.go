//go:build linux

package hosts_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/deploy"
	"github.com/towpath-cd/towpath/internal/ssh/sshtest"
)

// jobs notes that it runs, and, when it is asked to end by INT, that it has ended. It says what it found.
const jobs = `trap 'echo "$TOWPATH_PROCESS $TOWPATH_INSTANCE ${PORT-no port} $TOKEN" >>"$TOWPATH_PATH/ended"; exit 0' INT
echo "$$" >>"$TOWPATH_PATH/jobs.$TOWPATH_INSTANCE"; cp release "$TMPDIR/release"; while :; do sleep 0.05 2>/dev/null || sleep 1; done`

// withProcesses has processes beside the web process of a fleet.
func (f *fleet) withProcesses(processes ...towpath.ProcessDefinition) {
	f.Helper()
	f.definition.Processes = processes
	f.Driver = f.open()
}

func ordinaryJobs() towpath.ProcessDefinition {
	return towpath.ProcessDefinition{Name: "jobs", Command: jobs, Stop: towpath.StopDefinition{Signal: "INT", Within: time.Minute}}
}

// lines are those of a file on a host, none where it is not there.
func (f *fleet) lines(host int, parts ...string) []string {
	f.Helper()
	content, err := os.ReadFile(f.on(host, parts...))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		f.Fatal(err)
	}
	return strings.Fields(strings.ReplaceAll(strings.TrimSpace(string(content)), " ", "_"))
}

// processOf answers the only process beside an instance.
func (f *fleet) processOf(id string) towpath.Process {
	f.Helper()
	if all := f.sees(id).Processes; len(all) == 1 {
		return all[0]
	}
	return towpath.Process{}
}

// within has a command carried out on a host by its first process's world.
func (f *fleet) within(host int, script string) string {
	f.Helper()
	return f.hosts[host].Run(script)
}

func (f *fleet) liveWithJobs() {
	f.Helper()
	f.withProcesses(ordinaryJobs())
	f.does(deploy.Check{Release: 42, Instances: len(f.hosts)})
	first := f.deploys(42, 1)
	for n, id := range first {
		if i, p := f.sees(id), f.processOf(id); i.Health != towpath.HealthPassing || p.State != towpath.InstanceRunning || p.Name != "jobs" {
			f.Errorf("%+v", i)
		}
		if begun := f.lines(n, "jobs."+id); len(begun) != 1 {
			f.Errorf("it began %d times", len(begun))
		}
	}
	second := f.deploys(43, 1+len(first))
	for n, id := range first {
		f.until("what made room is stopped whole", func() bool { return f.sees(id).State == towpath.InstanceStopped })
		if said := f.lines(n, "ended"); !slices.Equal(said, []string{"jobs_" + id + "_no_port_geheimnis$1"}) {
			f.Errorf("asked by its own signal, it said %q", said)
		}
	}
	f.does(deploy.Stop{Instances: second})
	for _, id := range second {
		if i, p := f.sees(id), f.processOf(id); i.State != towpath.InstanceStopped || p.State != towpath.InstanceStopped {
			f.Errorf("%+v", i)
		}
	}
	f.does(deploy.Remove{Instances: append(first, second...)})
	for n := range f.hosts {
		for _, folder := range []string{".towpath/processes", "releases"} {
			if left, err := os.ReadDir(f.on(n, folder)); err != nil || len(left) > 0 {
				f.Errorf("%v is left in %s, %v", left, folder, err)
			}
		}
		if left := f.within(n, "grep -ls TOWPATH_SUPERVISED= /proc/[0-9]*/environ; true"); left != "" {
			f.Errorf("%s runs still", left)
		}
	}
}

func TestAnInstanceOnAHostIsItsWebProcessAndWhatRunsBesideIt(t *testing.T) {
	newFleet(t, 2).liveWithJobs()
}

func TestProcessesNeedNoMoreThanBusyboxAndNoRoot(t *testing.T) {
	newFleetOf(t, 1, sshtest.Setting{Login: "deploy", Busybox: true}).liveWithJobs()
}

func TestOnlyItsOwnerReadsWhatAProcessRunsWith(t *testing.T) {
	f := newFleet(t, 1)
	f.withProcesses(ordinaryJobs())
	id := f.deploys(42, 1)[0]
	folder := f.on(0, ".towpath", "processes", id+"@jobs")
	for path, want := range map[string]os.FileMode{folder: 0o700, filepath.Join(folder, "env"): 0o600} {
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("%v, %v", info.Mode(), err)
		}
	}
	if shown := f.within(0, `cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\0' ' '`); strings.Contains(shown, "geheimnis") {
		t.Errorf("everybody sees %s", shown)
	}
}

func TestAProcessOnAHostThatDiesIsStartedAgainAndTheInstanceIsNotHealthyWithoutIt(t *testing.T) {
	f := newFleet(t, 1)
	p := ordinaryJobs()
	p.Command = `[ ! -e "$TOWPATH_PATH/broken" ] || { echo no queue; exit 7; }; ` + p.Command
	f.withProcesses(p)
	id := f.deploys(42, 1)[0]
	first := f.lines(0, "jobs."+id)
	f.within(0, "kill -9 "+first[0])
	f.until("it runs again", func() bool {
		return len(f.lines(0, "jobs."+id)) == 2 && f.sees(id).Health == towpath.HealthPassing
	})
	if err := os.WriteFile(f.on(0, "broken"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	f.within(0, "kill -9 "+f.lines(0, "jobs."+id)[1])
	f.until("it is told why the instance is not healthy", func() bool {
		i, p := f.sees(id), f.processOf(id)
		return i.Health == towpath.HealthFailing && strings.Contains(i.Problem, "jobs: ended with exit code 7") &&
			i.State == towpath.InstanceRunning && p.State == towpath.InstanceFailing && slices.Contains(p.Log, "no queue")
	})
}

func TestAProcessOnAHostThatKeepsDyingFailsTheStart(t *testing.T) {
	f := newFleet(t, 1)
	f.withProcesses(towpath.ProcessDefinition{Name: "jobs", Command: "echo the queue is gone; exit 3", Stop: towpath.StopDefinition{Signal: "TERM"}})
	ids, slots := f.ids(1)
	f.does(deploy.Place{Release: 42, Instances: ids, Slots: slots})
	f.does(deploy.Start{Instances: ids})
	err := f.fails(deploy.Probe{Instances: ids, Within: patience}, "jobs of r42-1 of release 42 ended", "times in a row: ended with exit code 3")
	var permanent *deploy.Permanent
	if !errors.As(err, &permanent) || !slices.Contains(permanent.Log, "the queue is gone") {
		t.Errorf("%+v", permanent)
	}
}

// escaping ignores TERM, and has a process that left its session with all that it was known by but one variable.
const escaping = `setsid sh -c 'setsid sh -c "trap : TERM; echo \$\$ >>\$TOWPATH_PATH/escaped; while :; do sleep 0.05; done" & exit 0'
trap : TERM; echo $$ >>"$TOWPATH_PATH/stayed"; while :; do sleep 0.05; done`

func TestWhatDoesNotEndInItsTimeIsKilledAlsoWhereItLeftItsSession(t *testing.T) {
	f := newFleet(t, 1)
	f.withProcesses(towpath.ProcessDefinition{Name: "jobs", Command: escaping, Stop: towpath.StopDefinition{Signal: "TERM", Within: 300 * time.Millisecond}})
	id := f.deploys(42, 1)[0]
	f.until("it has begun", func() bool { return len(f.lines(0, "escaped")) == 1 && len(f.lines(0, "stayed")) == 1 })
	began := time.Now()
	receipt := f.does(deploy.Stop{Instances: []string{id}})
	if receipt.Detail != "jobs of r42-1 did not end within 300ms and was killed" || time.Since(began) < 300*time.Millisecond {
		t.Errorf("%q", receipt.Detail)
	}
	for _, pid := range append(f.lines(0, "escaped"), f.lines(0, "stayed")...) {
		if said := f.within(0, fmt.Sprintf("if [ -d /proc/%s ]; then echo alive; fi", pid)); said != "" {
			t.Errorf("%s is %s", pid, said)
		}
	}
}

func TestAStartOnAHostThatFailsLeavesTheProcessesOfWhatRanBefore(t *testing.T) {
	f := newFleet(t, 2)
	f.withProcesses(ordinaryJobs())
	first := f.deploys(42, 1)
	if err := os.WriteFile(f.on(1, "refuse"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	f.of(43)
	ids, slots := f.ids(3)
	f.does(deploy.Place{Release: 43, Instances: ids, Slots: slots})
	f.fails(deploy.Start{Instances: ids}, "restart failed")
	for n := range f.hosts {
		if p := f.processOf(first[n]); p.State != towpath.InstanceRunning || len(f.lines(n, "jobs."+first[n])) != 1 {
			t.Errorf("%+v", p)
		}
		f.until("what was started is ended", func() bool { return f.processOf(ids[n]).State == towpath.InstanceStopped })
	}
}

func TestASupervisorThatIsKilledTakesNothingWithItAndIsReplaced(t *testing.T) {
	f := newFleet(t, 1)
	f.withProcesses(ordinaryJobs())
	id := f.deploys(42, 1)[0]
	f.within(0, f.killSupervisor("processes", id+"@jobs"))
	if p := f.processOf(id); p.State != towpath.InstanceRunning {
		t.Errorf("%+v", p)
	}
	f.until("it has another one", func() bool { f.observes(); return f.isSupervised("processes", id+"@jobs") })
	if begun := f.lines(0, "jobs."+id); len(begun) != 1 {
		t.Errorf("it began %d times", len(begun))
	}
	f.within(0, f.killSupervisor("processes", id+"@jobs")+"; kill -9 "+f.lines(0, "jobs."+id)[0])
	f.until("both are replaced", func() bool {
		return f.sees(id).Health == towpath.HealthPassing && len(f.lines(0, "jobs."+id)) == 2
	})
	f.does(deploy.Stop{Instances: []string{id}})
}

// killSupervisor is a script that kills the supervisor of a process, and nothing else.
func (f *fleet) killSupervisor(kind, name string) string {
	return fmt.Sprintf("read -r _ _ sup _ <%s/.towpath/%s/%s/state; kill -9 $sup; while [ -d /proc/$sup ]; do sleep 0.01; done", f.path, kind, name)
}

func (f *fleet) isSupervised(kind, name string) bool {
	f.Helper()
	return f.within(0, fmt.Sprintf("flock -n %s/.towpath/%s/%s/lock true || echo held", f.path, kind, name)) == "held"
}

func TestAfterARebootWhatRanBesideAnInstanceIsStartedAgain(t *testing.T) {
	f := newFleet(t, 1)
	f.withProcesses(ordinaryJobs())
	id := f.deploys(42, 1)[0]
	f.hosts[0].Reboot()
	f.until("its service manager has started the web process", func() bool {
		f.within(0, fmt.Sprintf("cd %s/current; rm -f ../pid.*; set -a; . %s/env; set +a; sh -ec %s", f.path, f.path, quoted(startScript)))
		return true
	})
	f.until("what was beside it runs again", func() bool {
		i := f.sees(id)
		return i.Health == towpath.HealthPassing && len(f.lines(0, "jobs."+id)) == 2
	})
}

func quoted(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }

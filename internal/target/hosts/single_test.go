//go:build linux

package hosts_test

import (
	"errors"
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

// clock holds a lock that all hosts see, and so does what it has started and what has left its session. It notes when somebody
// else has it.
const clock = `exec 9>>"$LOCK"
flock -n -x 9 || { echo "$TOWPATH_INSTANCE" >>"$LOCK.overlapped"; exit 9; }
[ ! -e "$LOCK.broken" ] || { echo no time; exit 3; }
setsid sleep 1000 & trap : TERM; echo "$TOWPATH_INSTANCE" >>"$LOCK.begun"; while :; do sleep 0.05; done`

// ticking is a fleet with an environment that has a single process, which does not end when it is asked to. Release 42 runs.
func ticking(t *testing.T, count int, setting sshtest.Setting) (f *fleet, ids []string, lock string) {
	f = newFleetOf(t, count, setting)
	folder := t.TempDir() // every host sees it
	for _, dir := range []string{folder, filepath.Dir(folder), filepath.Dir(filepath.Dir(folder))} {
		if err := os.Chmod(dir, 0o777); err != nil && dir != os.TempDir() {
			t.Fatal(err)
		}
	}
	lock = filepath.Join(folder, "lock")
	f.witness = lock
	f.withProcesses(towpath.ProcessDefinition{
		Name: "clock", Command: clock, Single: true, Stop: towpath.StopDefinition{Signal: "TERM", Within: 200 * time.Millisecond},
	})
	return f, f.deploys(42, 1), lock
}

// runsAt sees that the single process runs beside one instance, and nowhere else.
func (f *fleet) runsAt(id string) {
	f.Helper()
	seen := f.observes().Singles
	if len(seen) != 1 || seen[0].Instance != id || seen[0].State != towpath.InstanceRunning || seen[0].Slot != f.sees(id).Slot {
		f.Fatalf("%+v", seen)
	}
}

// neverOverlapped sees that it began so often, one after the other.
func (f *fleet) neverOverlapped(lock string, times int) {
	f.Helper()
	if overlapped, err := os.ReadFile(lock + ".overlapped"); !errors.Is(err, os.ErrNotExist) {
		f.Errorf("%s %v", overlapped, err)
	}
	begun, _ := os.ReadFile(lock + ".begun")
	if count := strings.Count(string(begun), "\n"); count != times {
		f.Errorf("it began %d times, not %d:\n%s", count, times, begun)
	}
}

// isRefused gives an order that a single process may not be started by yet.
func (f *fleet) isRefused(id string) {
	f.Helper()
	var again *deploy.Retryable
	if err := f.fails(deploy.StartSingle{Process: "clock", Instance: id}, "still"); !errors.As(err, &again) {
		f.Errorf("%v", err)
	}
}

func TestASingleProcessNeverOverlapsOnHostsThoughAllThatLookAfterItAreKilled(t *testing.T) {
	f, ids, lock := ticking(t, 2, sshtest.Setting{})
	for n := range 4 {
		id, other := ids[n%2], ids[(n+1)%2]
		start, stop := deploy.StartSingle{Process: "clock", Instance: id}, deploy.StopSingle{Process: "clock", Instance: id}
		if n%2 == 0 {
			f.does(start)
		} else { // its keeper dies as soon as it has begun
			_ = f.keeper(start, patience, "start a single process on a host after", "").Wait()
			f.epoch = towpath.Epoch{Number: f.epoch.Number + 1, Holder: "after a start"}
		}
		f.runsAt(id)
		f.isRefused(other)
		if n > 1 {
			f.hosts[n%2].Run(f.killSupervisor("singles", id+"@clock"))
			f.isRefused(other)
		}
		if n == 2 {
			_ = f.keeper(stop, patience, "stop a single process on a host before", "").Wait()
			f.epoch = towpath.Epoch{Number: f.epoch.Number + 1, Holder: "before a stop"}
			f.isRefused(other)
		}
		if detail := f.does(stop).Detail; detail != "clock of "+id+" did not end within 200ms and was killed" {
			t.Errorf("%q", detail)
		}
		if seen := f.observes().Singles; len(seen) > 0 {
			t.Fatalf("%+v", seen)
		}
	}
	f.neverOverlapped(lock, 4)
}

func TestASingleProcessMovesWithTheReleaseAndBack(t *testing.T) {
	f, first, lock := ticking(t, 2, sshtest.Setting{Login: "deploy"})
	f.does(deploy.StartSingle{Process: "clock", Instance: first[0]})
	second := f.deploys(43, 3)
	f.runsAt(first[0])
	f.does(deploy.StopSingle{Process: "clock", Instance: first[0]})
	f.does(deploy.StartSingle{Process: "clock", Instance: second[1]})
	f.runsAt(second[1])
	f.of(42)
	f.does(deploy.Start{Instances: first})
	f.does(deploy.StopSingle{Process: "clock", Instance: second[1]})
	f.does(deploy.StartSingle{Process: "clock", Instance: first[0]})
	f.runsAt(first[0])
	f.does(deploy.Stop{Instances: second})
	f.does(deploy.Remove{Instances: second})
	f.runsAt(first[0])
	f.neverOverlapped(lock, 3)
}

func TestASingleProcessOnAHostThatWasStartedAgainWaitsForAnOrder(t *testing.T) {
	f, ids, lock := ticking(t, 2, sshtest.Setting{})
	f.does(deploy.StartSingle{Process: "clock", Instance: ids[0]})
	f.hosts[0].PowerOff()
	if seen := f.observes().Singles; len(seen) != 1 || seen[0].State != towpath.InstanceUnknown {
		t.Errorf("%+v", seen)
	}
	f.does(deploy.StartSingle{Process: "clock", Instance: ids[1]}) // as a person said that it is gone
	f.hosts[0].Reboot()
	f.until("its host answers", func() bool { return f.observes().Slots[0].Problem == "" })
	f.runsAt(ids[1])
	f.neverOverlapped(lock, 2)
	f.does(deploy.StopSingle{Process: "clock", Instance: ids[1]})
	f.does(deploy.StartSingle{Process: "clock", Instance: ids[0]})
	f.runsAt(ids[0])
	f.neverOverlapped(lock, 3)
}

func TestASingleProcessIsLookedAfterAgainOnItsHost(t *testing.T) {
	f, ids, lock := ticking(t, 1, sshtest.Setting{})
	f.does(deploy.StartSingle{Process: "clock", Instance: ids[0]})
	f.within(0, f.killSupervisor("singles", ids[0]+"@clock"))
	f.until("it has another supervisor", func() bool { f.observes(); return f.isSupervised("singles", ids[0]+"@clock") })
	f.runsAt(ids[0])
	f.neverOverlapped(lock, 1)
	f.within(0, "read -r pid _ <"+f.path+"/.towpath/singles/"+ids[0]+"@clock/child; kill -9 -$pid")
	f.until("it runs again", func() bool {
		begun, _ := os.ReadFile(lock + ".begun")
		return strings.Count(string(begun), "\n") == 2
	})
	f.neverOverlapped(lock, 2)
}

func TestASingleProcessIsKnownAlsoWhereItsFolderWasRemoved(t *testing.T) {
	f, ids, lock := ticking(t, 2, sshtest.Setting{})
	f.does(deploy.StartSingle{Process: "clock", Instance: ids[0]})
	f.within(0, f.killSupervisor("singles", ids[0]+"@clock")+"; rm -rf "+f.path+"/.towpath/singles")
	f.isRefused(ids[1])
	f.neverOverlapped(lock, 1)
}

func TestASingleProcessOnAHostThatKeepsDyingFailsWithWhatItSaidLast(t *testing.T) {
	f, ids, lock := ticking(t, 1, sshtest.Setting{})
	if err := os.WriteFile(lock+".broken", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	var permanent *deploy.Permanent
	err := f.fails(deploy.StartSingle{Process: "clock", Instance: ids[0]}, "times in a row, last with exit code 3")
	if !errors.As(err, &permanent) || !slices.ContainsFunc(permanent.Log, func(l string) bool { return strings.HasSuffix(l, "no time") }) {
		t.Errorf("%v %+v", err, permanent)
	}
}

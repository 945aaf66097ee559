//go:build linux

package hosts_test

import (
	"errors"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/deploy"
	"github.com/towpath-cd/towpath/internal/ssh/sshtest"
)

func permanent(t *testing.T, err error) *deploy.Permanent {
	t.Helper()
	var p *deploy.Permanent
	if !errors.As(err, &p) {
		t.Fatalf("%T %v is not permanent", err, err)
	}
	return p
}

// The first fault: one host whose link cannot be renamed leaves the fleet mixed.
func TestAHostWhoseLinkCannotBeChangedBringsTheOthersBack(t *testing.T) {
	f := newFleet(t, 3)
	f.deploys(42, 1)
	f.of(43)
	ids, slots := f.ids(4)
	f.does(deploy.Place{Release: 43, Instances: ids, Slots: slots})
	// A folder in the way of the environment's file: the link is changed already when that fails.
	if err := errors.Join(os.Remove(f.on(1, "env")), os.MkdirAll(f.on(1, "env", "env.new", "full"), 0o755)); err != nil {
		t.Fatal(err)
	}
	f.fails(deploy.Start{Instances: ids}, f.hosts[1].IP, "cannot be changed")
	f.serveOnly(42)
	if err := os.RemoveAll(f.on(1, "env")); err != nil {
		t.Fatal(err)
	}
	f.deploys(43, 4)
	f.serveOnly(43)
}

// The same, where only the renaming itself is refused: the folder is somebody else's, and sticky.
func TestARenameThatFailsOnOneOfFiveHostsBringsTheOtherFourBack(t *testing.T) {
	f := newFleetOf(t, 5, sshtest.Setting{Login: "deploy"})
	f.deploys(42, 1)
	f.of(43)
	ids, slots := f.ids(6)
	f.does(deploy.Place{Release: 43, Instances: ids, Slots: slots})
	give := func(id int, mode os.FileMode) {
		t.Helper()
		if err := errors.Join(os.Chown(f.on(3), id, id), os.Chmod(f.on(3), mode), os.Lchown(f.on(3, "current"), id, id)); err != nil {
			t.Fatal(err)
		}
	}
	give(0, 0o777|os.ModeSticky)
	f.fails(deploy.Start{Instances: ids}, f.hosts[3].IP+": the link current cannot be changed")
	f.serveOnly(42)
	give(sshtest.LoginID, 0o755)
	f.deploys(43, 6)
	f.serveOnly(43)
}

// The second fault: a link that was left over swallows the new one, and the deployment passes.
func TestALinkThatWasLeftOverSwallowsNothing(t *testing.T) {
	f := newFleet(t, 2)
	f.deploys(42, 1)
	for _, name := range []string{"current.new", "current.back"} {
		if err := os.Symlink("releases", f.on(1, name)); err != nil {
			t.Fatal(err)
		}
	}
	f.deploys(43, 3)
	f.serveOnly(43)
	if entries, err := os.ReadDir(f.on(1, "releases")); err != nil || len(entries) != 2 {
		t.Errorf("%v, %v", entries, err)
	}
}

// The third fault: what is previous is decided host by host, so that one which is ahead goes back two. The fourth is that
// nobody asks the application.
func TestGoingBackIsToOneReleaseForTheWholeFleetThoughAHostIsAhead(t *testing.T) {
	f := newFleet(t, 2)
	old := f.deploys(42, 1)
	f.of(43)
	ids, slots := f.ids(3)
	f.does(deploy.Place{Release: 43, Instances: ids, Slots: slots})
	f.does(deploy.Start{Instances: ids[1:]}) // the first one is ahead by nothing, the second by one
	f.of(42)
	f.does(deploy.Start{Instances: old})
	f.does(deploy.Probe{Instances: old, Within: patience})
	f.serveOnly(42)
}

func TestAnApplicationThatRunsAnotherReleaseIsNotTakenForThisOne(t *testing.T) {
	f := newFleet(t, 1, func(h *towpath.HostsTarget) { h.Restart, h.Reload = "", "echo as before" })
	f.definition.Target.Hosts.Restart = startScript
	f.Driver = f.open()
	f.deploys(42, 1)
	f.definition.Target.Hosts.Restart = ""
	f.Driver = f.open()
	f.of(43)
	ids, slots := f.ids(2)
	f.does(deploy.Place{Release: 43, Instances: ids, Slots: slots})
	f.does(deploy.Start{Instances: ids}) // which reloads nothing, and passes
	f.fails(deploy.Probe{Instances: ids, Within: time.Second}, `answered "42"`, "release 43")
}

func TestAHostThatCannotRestartBringsTheOthersBackAndTellsWhy(t *testing.T) {
	f := newFleet(t, 3)
	f.deploys(42, 1)
	f.of(43)
	ids, slots := f.ids(4)
	f.does(deploy.Place{Release: 43, Instances: ids, Slots: slots})
	if err := os.WriteFile(f.on(2, "refuse"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	// What runs before cannot be restarted there either, until the host is in order again.
	err := f.fails(deploy.Start{Instances: ids}, f.hosts[2].IP+": restart failed")
	if log := strings.Join(permanent(t, err).Log, "\n"); !strings.Contains(log, "no licence for 43") {
		t.Errorf("it tells %q", log)
	}
	for n := range 3 {
		if got, _ := towpath.ParseInstanceID(f.current(n)); got != 42 {
			t.Errorf("the link of host %d leads to %s", n, f.current(n))
		}
	}
	for n := range 2 {
		f.until("it serves again", func() bool {
			if f.serves(n, "/release") == "42" {
				return true
			}
			t.Log(n, f.serves(n, "/release"), f.read(n, ".towpath", "log", "r43-"+strconv.Itoa(4+n)))
			return false
		})
	}
	if err := os.Remove(f.on(2, "refuse")); err != nil {
		t.Fatal(err)
	}
	f.deploys(43, 4)
	f.serveOnly(43)
}

func TestAFirstReleaseThatFailsLeavesNoLink(t *testing.T) {
	f := newFleet(t, 1)
	if err := os.WriteFile(f.on(0, "refuse"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	ids, slots := f.ids(1)
	f.does(deploy.Place{Release: 42, Instances: ids, Slots: slots})
	f.fails(deploy.Start{Instances: ids}, "restart failed")
	if f.current(0) != "" {
		t.Errorf("the link leads to %s", f.current(0))
	}
	f.does(deploy.Stop{Instances: ids})
	f.does(deploy.Remove{Instances: ids})
}

func TestAHostThatDiesInTheMiddleIsNoticedAndTheOthersGoBack(t *testing.T) {
	f := newFleet(t, 2)
	f.deploys(42, 1)
	f.of(43)
	ids, slots := f.ids(3)
	f.does(deploy.Place{Release: 43, Instances: ids, Slots: slots})
	f.hosts[1].PowerOff()
	f.fails(deploy.Start{Instances: ids}, f.hosts[1].IP)
	if f.current(0) != "r42-1" {
		t.Errorf("the link leads to %s", f.current(0))
	}
	seen := f.observes()
	for _, s := range seen.Slots {
		if isAway := s.Host == f.hosts[1].IP; isAway != (s.Problem != "") {
			t.Errorf("%+v", s)
		}
	}
	for _, i := range seen.Instances {
		if isAway := strings.HasPrefix(i.Slot, f.hosts[1].IP); isAway != (i.State == towpath.InstanceUnknown) {
			t.Errorf("%+v", i)
		}
	}
	f.does(deploy.Check{Release: 43, Instances: 1, Slots: []string{f.definition.Target.Slots()[0].Name}})
	f.fails(deploy.Check{Release: 43, Instances: 2}, f.hosts[1].IP)
	f.hosts[1].Reboot()
	f.deploys(43, 3)
	f.serveOnly(43)
}

func TestAfterARebootWhatTheLinkLeadsToRuns(t *testing.T) {
	f := newFleet(t, 1)
	f.deploys(42, 1)
	f.deploys(43, 2)
	f.hosts[0].Reboot()
	f.until("it is seen as running, and not well", func() bool {
		i := f.sees("r43-2")
		return i.State == towpath.InstanceRunning && i.Health == towpath.HealthFailing
	})
	if i := f.sees("r42-1"); i.State != towpath.InstanceStopped {
		t.Errorf("%+v", i)
	}
	f.of(43)
	f.does(deploy.Start{Instances: []string{"r43-2"}})
	f.does(deploy.Probe{Instances: []string{"r43-2"}, Within: patience})
	f.serveOnly(43)
}

func TestALinkThatSomebodyChangedIsTold(t *testing.T) {
	f := newFleet(t, 1)
	f.deploys(42, 1)
	f.deploys(43, 2)
	if err := errors.Join(os.Remove(f.on(0, "current")), os.Symlink("releases/r42-1", f.on(0, "current"))); err != nil {
		t.Fatal(err)
	}
	if i := f.sees("r43-2"); i.State != towpath.InstanceFailing || !strings.Contains(i.Problem, "lead to r42-1") {
		t.Errorf("%+v", i)
	}
	f.of(43)
	f.does(deploy.Start{Instances: []string{"r43-2"}})
	f.does(deploy.Probe{Instances: []string{"r43-2"}, Within: patience})
	f.serveOnly(43)
}

func TestAHostWithAnotherKeyIsNotTrusted(t *testing.T) {
	f := newFleet(t, 2)
	f.hosts[1].PowerOff()
	f.hosts[1].Rekey()
	f.hosts[1].PowerOn()
	for _, s := range f.observes().Slots {
		if isOther := s.Host == f.hosts[1].IP; isOther != strings.Contains(s.Problem, "host key has changed") {
			t.Errorf("%+v", s)
		}
	}
	permanent(t, f.fails(deploy.Check{Release: 42, Instances: 2}, "host key has changed", f.lab.File("known_hosts")+":2"))
}

func TestWhatHostsLackIsToldAtOnceAndNothingIsTouched(t *testing.T) {
	f := newFleet(t, 2, func(h *towpath.HostsTarget) {
		h.Requires = []string{`test "$TOWPATH_PATH" = "` + h.Path + `"`, "echo no such tool; exit 3"}
	})
	f.release.Artifacts = []towpath.Artifact{{Step: "build", Platform: "plan9/mips"}}
	err := f.fails(deploy.Check{Release: 42, Instances: 2}, f.hosts[0].IP, f.hosts[1].IP, "plan9/mips", "what is required: echo no such tool")
	if log := permanent(t, err).Log; len(log) != 4 {
		t.Errorf("%q", log)
	}
	for n := range f.hosts {
		if entries, err := os.ReadDir(f.on(n, "releases")); err != nil || len(entries) > 0 {
			t.Errorf("%v, %v", entries, err)
		}
	}
}

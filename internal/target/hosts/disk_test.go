//go:build linux

package hosts_test

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/deploy"
	"github.com/towpath-cd/towpath/internal/ssh/sshtest"
)

// isFull is what everybody is told of a host's disk.
const isFull = "is full, make room there"

// fill leaves so many bytes free on the disk of a host, and answers how it is made free again.
func (f *fleet) fill(host int, spare int64) (free func()) {
	f.Helper()
	path := filepath.Join(f.hosts[host].Disk(), "filler")
	filler, err := os.Create(path)
	if err != nil {
		f.Fatal(err)
	}
	defer filler.Close()
	written := 0
	for err == nil {
		var n int
		n, err = filler.Write(make([]byte, 4096))
		written += n
	}
	if !errors.Is(err, syscall.ENOSPC) {
		f.Fatal(err)
	}
	if err := filler.Truncate(int64(written) - spare); err != nil {
		f.Fatal(err)
	}
	return func() {
		if err := os.Remove(path); err != nil {
			f.Error(err)
		}
	}
}

// hasNothingOf sees that an instance has left nothing on the disk of a host.
func (f *fleet) hasNothingOf(host int, id string) {
	f.Helper()
	err := filepath.WalkDir(f.on(host), func(path string, _ os.DirEntry, err error) error {
		if name := filepath.Base(path); strings.HasPrefix(name, id) || strings.HasSuffix(name, ".new") || path == f.on(host, ".towpath", "tmp") {
			f.Errorf("left on host %d: %s", host, path)
		}
		return err
	})
	if err != nil {
		f.Error(err)
	}
}

func TestAFullDiskIsToldAndLeavesNothingHalf(t *testing.T) {
	f := newFleet(t, 1)
	small := f.lab.Host(sshtest.Setting{Size: "1m"})
	f.hosts = append(f.hosts, small)
	f.furnish(small)
	port, err := strconv.Atoi(small.Port)
	if err != nil {
		t.Fatal(err)
	}
	f.definition.Target.Hosts.Hosts = append(f.definition.Target.Hosts.Hosts, towpath.Host{Name: small.IP, SSHPort: port})
	f.Driver = f.open()
	f.files["large"] = strings.Repeat("0123456789abcdef", 1<<17)
	ids, slots := f.ids(1)
	f.fails(deploy.Check{Release: 42, Instances: 2}, small.IP, "are needed")
	var again *deploy.Retryable
	if err := f.fails(deploy.Place{Release: 42, Instances: ids, Slots: slots}, small.IP, "space", isFull); !errors.As(err, &again) {
		t.Errorf("%T %v", err, err)
	}
	f.hasNothingOf(1, ids[1])
	for _, i := range f.observes().Instances {
		if i.Slot == small.IP {
			t.Errorf("%+v", i)
		}
	}
	delete(f.files, "large")
	f.Driver = f.open()
	f.does(deploy.Place{Release: 42, Instances: ids, Slots: slots})
}

func TestADiskThatFillsUpWhileAReleaseIsPreparedIsToldAndLeavesNothing(t *testing.T) {
	f := newFleetOf(t, 2, sshtest.Setting{Size: "6m"}, func(h *towpath.HostsTarget) { h.Prepare = "head -c 1000000 /dev/zero >made" })
	f.deploys(42, 1)
	free := f.fill(1, 500_000)
	f.of(43)
	ids, slots := f.ids(3)
	err := f.fails(deploy.Place{Release: 43, Instances: ids, Slots: slots}, f.hosts[1].IP+": prepare failed", isFull)
	if log := strings.Join(permanent(t, err).Log, "\n"); !strings.Contains(log, "No space left on device") {
		t.Errorf("it tells %q", log)
	}
	f.hasNothingOf(1, ids[1])
	f.serveOnly(42)
	free()
	f.deploys(43, 3)
	f.serveOnly(43)
}

func TestADiskThatFillsUpWithWhatIsSharedIsToldAndSharesNothingHalf(t *testing.T) {
	f := newFleetOf(t, 2, sshtest.Setting{Size: "6m"}, func(h *towpath.HostsTarget) { h.Shared = append(h.Shared, "data") })
	f.deploys(42, 1)
	f.files["data/large"] = strings.Repeat("0123456789abcdef", 1<<16)
	if err := os.Remove(f.on(1, "shared", "data")); err != nil { // as on a host that is new
		t.Fatal(err)
	}
	free := f.fill(1, 1_500_000) // for one copy of it
	f.of(43)
	ids, slots := f.ids(3)
	var again *deploy.Retryable
	if err := f.fails(deploy.Place{Release: 43, Instances: ids, Slots: slots}, f.hosts[1].IP+": share files", "No space left", isFull); !errors.As(err, &again) {
		t.Errorf("%T %v", err, err)
	}
	f.hasNothingOf(1, ids[1])
	if _, err := os.Lstat(f.on(1, "shared", "data")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("what is shared is half there: %v", err)
	}
	f.serveOnly(42)
	free()
	f.deploys(43, 3)
	f.serveOnly(43)
	if got := f.read(1, "shared", "data", "large"); got != f.files["data/large"] {
		t.Errorf("what is shared has %d bytes", len(got))
	}
}

func TestADiskThatIsFullAtTheFlipOrForTheEpochChangesNothing(t *testing.T) {
	f := newFleetOf(t, 2, sshtest.Setting{Size: "3m"})
	f.deploys(42, 1)
	f.of(43)
	ids, slots := f.ids(3)
	f.does(deploy.Place{Release: 43, Instances: ids, Slots: slots})
	free := f.fill(0, 0)
	var again *deploy.Retryable
	if err := f.fails(deploy.Start{Instances: ids}, f.hosts[0].IP, "cannot be written", isFull); !errors.As(err, &again) {
		t.Errorf("%T %v", err, err)
	}
	f.serveOnly(42)
	later := towpath.Epoch{Number: f.epoch.Number + 1, Holder: "worker-2/b"}
	_, err := f.doBy(f.open(), later, deploy.Start{Instances: ids})
	if err == nil || !strings.Contains(err.Error(), "epoch cannot be written") || !strings.Contains(err.Error(), isFull) {
		t.Errorf("%v", err)
	}
	f.serveOnly(42)
	free()
	f.epoch = later
	f.does(deploy.Start{Instances: ids})
	f.does(deploy.Probe{Instances: ids, Within: patience})
	f.serveOnly(43)
}

// fillingScript starts the application, and fills the disk where that is asked for. It begins no release that is refused.
const fillingScript = `[ ! -e "$TOWPATH_PATH/no$TOWPATH_RELEASE" ] || { echo "no licence for $TOWPATH_RELEASE"; exit 1; }
` + startScript + `
[ ! -e "$TOWPATH_PATH/fills" ] || [ "$TOWPATH_RELEASE" = 42 ] || cat /dev/zero >"$TOWPATH_PATH/../filler" 2>/dev/null || true`

func TestADiskThatFillsUpInAStartKeepsNothingFromBeingNotedOrBroughtBack(t *testing.T) {
	f := newFleetOf(t, 2, sshtest.Setting{Size: "3m"}, func(h *towpath.HostsTarget) { h.Restart = fillingScript })
	old := f.deploys(42, 1)
	for host, name := range []string{"fills", "no43"} {
		if err := os.WriteFile(f.on(host, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	f.of(43)
	ids, slots := f.ids(3)
	f.does(deploy.Place{Release: 43, Instances: ids, Slots: slots})
	f.fails(deploy.Start{Instances: ids}, f.hosts[1].IP+": restart failed")
	f.does(deploy.Probe{Instances: old, Within: patience})
	f.serveOnly(42)

	if err := errors.Join(os.Remove(filepath.Join(f.hosts[0].Disk(), "filler")), os.Remove(f.on(1, "no43"))); err != nil {
		t.Fatal(err)
	}
	f.does(deploy.Start{Instances: ids})
	f.does(deploy.Probe{Instances: ids, Within: patience})
	f.serveOnly(43)
	if i := f.sees(ids[0]); i.State != towpath.InstanceRunning {
		t.Errorf("%+v", i)
	}
}

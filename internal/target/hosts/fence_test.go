//go:build linux

package hosts_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/deploy"
	"github.com/towpath-cd/towpath/internal/durable"
	"github.com/towpath-cd/towpath/internal/failpoint"
)

func TestAnEarlierKeeperIsRefusedByEveryHost(t *testing.T) {
	f := newFleet(t, 2)
	ids := f.deploys(42, 1)
	other := f.open()
	for _, epoch := range []towpath.Epoch{{Number: 2, Holder: f.epoch.Holder}, {Number: 3, Holder: "worker-2/b"}} {
		_, err := f.doBy(other, epoch, deploy.Stop{Instances: ids})
		var stale *deploy.StaleEpoch
		if !errors.As(err, &stale) || stale.Seen != f.epoch {
			t.Errorf("under %s: %v", epoch, err)
		}
	}
	later := towpath.Epoch{Number: 4, Holder: "worker-2/b"}
	if _, err := f.doBy(other, later, deploy.Probe{}); err != nil { // the first order, whatever it is
		t.Fatal(err)
	}
	f.of(43)
	next, slots := f.ids(3)
	for _, o := range []deploy.Operation{
		deploy.Place{Release: 43, Instances: next, Slots: slots}, deploy.Start{Instances: ids}, deploy.Stop{Instances: ids}, deploy.Remove{Instances: ids},
	} {
		var stale *deploy.StaleEpoch
		if err := f.fails(o); !errors.As(err, &stale) || stale.Seen != later {
			t.Errorf("%s: %v", o, err)
		}
	}
	if seen := f.observes(); seen.Epoch != later {
		t.Errorf("%s", seen.Epoch)
	}
	f.serveOnly(42)
}

// lock has somebody hold the lock of a host.
func (f *fleet) lock(host int) (unlock func()) {
	f.Helper()
	release, err := durable.Lock(f.on(host, ".towpath", "lock"))
	if err != nil {
		f.Fatal(err)
	}
	return func() {
		if err := release(); err != nil {
			f.Error(err)
		}
	}
}

func TestALockThatIsHeldIsWaitedForAndThenTold(t *testing.T) {
	f := newFleet(t, 1)
	ids := f.deploys(42, 1)
	unlock := f.lock(0)
	ctx, cancel := context.WithTimeout(t.Context(), 12*time.Second)
	defer cancel()
	_, err := f.Do(ctx, deploy.Order{Epoch: f.epoch, Operation: deploy.Stop{Instances: ids}, Instances: f.observes().Instances})
	var again *deploy.Retryable
	if !errors.As(err, &again) || !strings.Contains(err.Error(), "locked by "+f.epoch.Holder) {
		t.Errorf("%v", err)
	}
	unlock()
	f.does(deploy.Stop{Instances: ids})
}

func TestTheWatchdogEndsWhatAFrozenKeeperLeft(t *testing.T) {
	f := newFleet(t, 1)
	f.deploys(42, 1)
	f.of(43)
	ids, slots := f.ids(2)
	f.does(deploy.Place{Release: 43, Instances: ids, Slots: slots})
	frozen := f.keeper(deploy.Start{Instances: ids}, 11*time.Second, "flip hosts after", failpoint.Freezing)
	if f.current(0) != ids[0] {
		t.Errorf("the link leads to %s", f.current(0))
	}
	f.until("the watchdog brought the link back", func() bool { return f.current(0) == "r42-1" })
	later := towpath.Epoch{Number: 9, Holder: "worker-2/b"}
	if _, err := f.doBy(f.open(), later, deploy.Probe{}); err != nil {
		t.Errorf("a successor is held up: %v", err)
	}
	if err := frozen.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	if err := frozen.Wait(); err == nil {
		t.Error("the keeper that was frozen did what it had begun")
	}
	f.serveOnly(42)
}

func TestAScriptThatDoesNotEndIsEndedWithAllThatItStarted(t *testing.T) {
	f := newFleet(t, 1)
	f.deploys(42, 1)
	f.definition.Target.Hosts.Stop = `echo asked; trap '' TERM; sleep 600 & sleep 600`
	d := f.open()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	_, err := d.Do(ctx, deploy.Order{Epoch: f.epoch, Operation: deploy.Stop{Instances: []string{"r42-1"}}, Instances: f.observes().Instances})
	if _, isUnknown := errors.AsType[*deploy.UnknownOutcome](err); !isUnknown {
		t.Errorf("%v", err)
	}
	f.does(deploy.Stop{Instances: []string{"r42-1"}}) // with the script that ends: nobody has the lock
	if f.sees("r42-1").State != towpath.InstanceStopped {
		t.Errorf("%+v", f.sees("r42-1"))
	}
}

func TestAPortThatSomebodyElseHoldsIsTold(t *testing.T) {
	f := newFleet(t, 1)
	holder, err := net.Listen("tcp", fmt.Sprintf("%s:%d", f.hosts[0].IP, f.definition.Target.Hosts.Port))
	if err != nil {
		t.Fatal(err)
	}
	defer holder.Close()
	ids, slots := f.ids(1)
	f.does(deploy.Place{Release: 42, Instances: ids, Slots: slots})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	_, err = f.Do(ctx, deploy.Order{Epoch: f.epoch, Operation: deploy.Start{Instances: ids}, Release: f.release, Instances: f.observes().Instances})
	if err == nil || !strings.Contains(err.Error(), "still held by") {
		t.Errorf("%v", err)
	}
	if f.current(0) != "" {
		t.Errorf("the link leads to %s", f.current(0))
	}
	if _, err := os.Stat(filepath.Join(f.on(0), "env")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v", err)
	}
}

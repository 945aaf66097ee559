//go:build linux

package hosts_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/deploy"
)

// A host whose sshd hangs or is gone may serve all the same: what ran there is probed over the network.
func TestWhatRunsOnAHostThatRefusesLoginsIsProbedAllTheSame(t *testing.T) {
	f := newFleet(t, 2)
	ids := f.deploys(42, 1)
	f.observes()
	f.hosts[1].FreezeLogins()
	defer f.hosts[1].Thaw()
	begun := time.Now()
	if i := f.sees(ids[1]); i.State != towpath.InstanceUnknown || i.Health != towpath.HealthPassing || i.Silent {
		t.Errorf("its sshd is frozen, and it serves: %+v", i)
	}
	for _, s := range f.observes().Slots {
		isAway := s.Host == f.hosts[1].IP
		if isAway != (s.Problem != "") || isAway != s.Since.After(begun) || s.Since.After(time.Now()) {
			t.Errorf("%+v", s)
		}
	}
	f.hosts[1].Kill(filepath.Base(os.Args[0])[:10]) // the application is the test's own binary
	if i := f.sees(ids[1]); i.State != towpath.InstanceUnknown || i.Health != towpath.HealthFailing || i.Silent {
		t.Errorf("its port refuses: %+v", i)
	}
}

// Where an order has come between, nobody knows who answers on a host that cannot be looked at.
func TestWhatMayHaveBeenReplacedSinceTheLastLookIsNotTakenForWhatRan(t *testing.T) {
	f := newFleet(t, 2)
	old := f.deploys(42, 1)
	f.of(43)
	ids, slots := f.ids(3)
	f.does(deploy.Place{Release: 43, Instances: ids, Slots: slots})
	f.does(deploy.Start{Instances: ids})
	f.hosts[1].FreezeLogins()
	defer f.hosts[1].Thaw()
	for _, i := range f.observes().Instances {
		isThere := i.ID == old[1] || i.ID == ids[1]
		if isThere && (i.State != towpath.InstanceUnknown || i.Health != towpath.HealthUnknown) {
			t.Errorf("nobody has looked since: %+v", i)
		}
	}
}

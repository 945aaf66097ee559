//go:build linux

package hosts_test

import (
	"os"
	"testing"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/deploy"
)

func TestInstancesGoThroughTheirStatesAndLeaveNothing(t *testing.T) {
	f := newFleet(t, 2)
	ids, slots := f.ids(1)
	f.does(deploy.Check{Release: 42, Instances: 2})
	f.does(deploy.Place{Release: 42, Instances: ids, Slots: slots})
	for _, id := range ids {
		if i := f.sees(id); i.State != towpath.InstancePlaced || i.Release != 42 || i.Slot != slots[id] {
			t.Errorf("%+v", i)
		}
	}
	f.deploys(42, 1) // every order can be given again
	for _, id := range ids {
		if i := f.sees(id); i.State != towpath.InstanceRunning || i.Health != towpath.HealthPassing || i.Address == "" {
			t.Errorf("%+v", i)
		}
	}
	f.serveOnly(42)
	f.fails(deploy.Remove{Instances: ids}, "runs in current")
	for range 2 {
		f.does(deploy.Stop{Instances: ids})
	}
	for _, id := range ids {
		if i := f.sees(id); i.State != towpath.InstanceStopped {
			t.Errorf("%+v", i)
		}
	}
	for range 2 {
		f.does(deploy.Remove{Instances: ids})
	}
	for n := range f.hosts {
		for _, folder := range []string{"releases", "tmp", ".towpath/instances", ".towpath/log"} {
			if left, err := os.ReadDir(f.on(n, folder)); err != nil || len(left) > 0 {
				t.Errorf("%v is left in %s, %v", left, folder, err)
			}
		}
	}
	if seen := f.observes(); seen.Epoch != f.epoch || len(seen.Instances) > 0 || len(seen.Slots) != 2 {
		t.Errorf("%+v", seen)
	}
}

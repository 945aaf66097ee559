package towpath_test

import (
	"testing"

	"github.com/towpath-cd/towpath"
)

func TestInstanceIDIsReadBack(t *testing.T) {
	if release, serial := towpath.ParseInstanceID(towpath.InstanceID(42, 7)); release != 42 || serial != 7 {
		t.Errorf("read back as release %d, serial %d", release, serial)
	}
	for _, id := range []string{"", "r42", "r42-", "r42-7x", "r042-7", "x42-7", "r-1", " r42-7"} {
		if release, serial := towpath.ParseInstanceID(id); release != 0 || serial != 0 {
			t.Errorf("%q is taken for release %d, serial %d", id, release, serial)
		}
	}
}

func TestTheHighestSerialIsRememberedWhenItsInstanceIsGone(t *testing.T) {
	seen := towpath.Observation{Instances: []towpath.Instance{{ID: "r1-3"}, {ID: "r2-12"}, {ID: "by hand"}}}
	e, _ := towpath.Environment{}.Next(towpath.TrafficObserved{LastInstance: seen.LastInstance()})
	e, _ = e.Next(towpath.TrafficObserved{LastInstance: towpath.Observation{}.LastInstance()})
	if e.LastInstance != 12 {
		t.Errorf("the last serial is %d, want 12", e.LastInstance)
	}
}

package keeper

import (
	"testing"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/client"
)

func TestThatAnInstanceHasTrafficAgainIsToldBeforeItLosesIt(t *testing.T) {
	e := towpath.Environment{Idle: map[string]time.Time{"r1-1": time.Unix(0, 0)}}
	for _, c := range []struct {
		what  string
		seen  towpath.Instance
		again bool
	}{
		{"it has some", towpath.Instance{ID: "r1-1", Traffic: towpath.Traffic{Known: true, Weight: 100}}, true},
		{"it may have some", towpath.Instance{ID: "r1-1"}, true},
		{"it has none", towpath.Instance{ID: "r1-1", Traffic: towpath.Traffic{Known: true}}, false},
		{"it always had some", towpath.Instance{ID: "r1-2", Traffic: towpath.Traffic{Known: true, Weight: 100}}, false},
	} {
		if got := hasTrafficAgain(e, towpath.Observation{Instances: []towpath.Instance{c.seen}}); got != c.again {
			t.Errorf("%s: %t", c.what, got)
		}
	}
}

func TestAServerThatHasForgottenOurEpochHearsOfIt(t *testing.T) {
	own := towpath.Epoch{Number: 7, Holder: "w1.2"}
	p := &performer{key: "shop/production", order: client.KeeperOrder{Environment: towpath.Environment{Epoch: own, Serial: 3}}}
	if kept := p.keeping(); kept.Observed != own || kept.Serial != 3 {
		t.Errorf("the server is told %+v", kept)
	}
	p.observed = towpath.Epoch{Number: 8, Holder: "w1.3"}
	if kept := p.keeping(); kept.Observed != p.observed {
		t.Errorf("the server is told %+v, and a target has seen %s", kept, p.observed)
	}
}

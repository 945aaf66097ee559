//go:build unix

package keeper_test

import (
	"testing"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/deploy"
	"github.com/towpath-cd/towpath/internal/proxy/control"
)

// weighByHand sets weights as somebody with a hand on the proxy would.
func (s *site) weighByHand(weights map[string]int) {
	s.t.Helper()
	hand := control.New(control.Options{DataDir: s.ProxyDir})
	defer hand.Close()
	route, err := hand.Route(s.t.Context(), "shop/production")
	if err != nil {
		s.t.Fatal(err)
	}
	if _, err := hand.SetWeights(s.t.Context(), route.Epoch, route.Name, weights); err != nil {
		s.t.Fatal(err)
	}
}

// weights answers what the proxy gives.
func (s *site) weights() map[string]int {
	s.t.Helper()
	eye := control.New(control.Options{DataDir: s.ProxyDir})
	defer eye.Close()
	route, err := eye.Route(s.t.Context(), "shop/production")
	if err != nil {
		s.t.Fatal(err)
	}
	weights := map[string]int{}
	for _, b := range route.Backends {
		weights[b.ID] = b.Weight
	}
	return weights
}

func TestTrafficThatWasMovedByHandIsReportedAndLeftUntilAPersonDeploys(t *testing.T) {
	t.Parallel()
	d := blueGreen()
	d.Instances = 2
	s := newSite(t, d)
	stop := s.keeps()
	one := s.release("one")
	s.goes(one)
	s.weighByHand(map[string]int{"r1-1": 0, "r1-2": deploy.FullWeight})
	s.hears("traffic was moved by hand, and is left so")
	stop()
	s.keeps() // also by the next keeper, which knows what the one before had set
	until(t, "the next keeper has looked", func() bool {
		_, seen := s.now()
		return len(seen.Instances) == 2 && seen.Instances[0].Traffic.ByHand
	})
	if got := s.weights(); got["r1-1"] != 0 {
		t.Errorf("the weights are %v", got)
	}
	s.goes(one) // which sets it right
	if got := s.weights(); got["r1-1"] != deploy.FullWeight || got["r1-2"] != deploy.FullWeight {
		t.Errorf("after a deployment the weights are %v", got)
	}
}

func TestTrafficThatWasMovedByHandIsMendedWhereTheEnvironmentSaysSo(t *testing.T) {
	t.Parallel()
	d := blueGreen()
	d.Instances, d.Drift = 2, towpath.DriftMend
	s := newSite(t, d)
	s.keeps()
	s.goes(s.release("one"))
	s.weighByHand(map[string]int{"r1-1": 0, "r1-2": deploy.FullWeight})
	until(t, "it is mended", func() bool { return s.weights()["r1-1"] == deploy.FullWeight })
}

func TestAllTrafficMovedAwayByHandIsMendedAtOnce(t *testing.T) {
	t.Parallel()
	s := newSite(t, blueGreen())
	s.keeps()
	s.goes(s.release("one"))
	s.weighByHand(map[string]int{"r1-1": 0})
	began := time.Now()
	until(t, "it is mended", func() bool { return s.weights()["r1-1"] == deploy.FullWeight })
	t.Logf("it took %s", time.Since(began))
}

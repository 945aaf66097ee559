//go:build unix

package keeper_test

import (
	"testing"
	"time"

	"github.com/towpath-cd/towpath"
)

func TestAReleaseGoesLiveAndSwitchesAndComesBackWithoutALostRequest(t *testing.T) {
	s := newSite(t, blueGreen())
	s.keeps()
	one, two := s.release("one"), s.release("two")
	s.ends(s.deploy(one), towpath.DeploymentLive)
	if said := s.says(); said != "one" {
		t.Fatalf("the proxy's answer is %q", said)
	}

	load := s.load(8)
	s.ends(s.deploy(two), towpath.DeploymentLive)
	if said := s.says(); said != "two" {
		t.Errorf("after the switch the proxy's answer is %q", said)
	}
	for range 5 {
		began := time.Now()
		id := s.rollback()
		until(t, "the old release answers", func() bool { return s.says() == "one" })
		switched := time.Since(began)
		s.ends(id, towpath.DeploymentLive)
		t.Logf("rolled back: first answer after %s, over after %s", switched, time.Since(began))
		began = time.Now()
		id = s.deploy(two)
		until(t, "the new release answers", func() bool { return s.says() == "two" })
		switched = time.Since(began)
		s.ends(id, towpath.DeploymentLive)
		t.Logf("forward again: first answer after %s, over after %s", switched, time.Since(began))
	}
	load.mustBeFlawless(t)
}

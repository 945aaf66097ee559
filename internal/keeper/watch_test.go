//go:build unix

package keeper_test

import (
	"strings"
	"testing"
	"time"

	"github.com/towpath-cd/towpath"
)

// watched is an environment whose releases are watched.
func watched(d time.Duration) towpath.EnvironmentDefinition {
	definition := blueGreen()
	definition.Watch = towpath.WatchDefinition{For: d, Errors: 0.01, Minimum: 50}
	return definition
}

func TestAReleaseThatAnswersErrorsUnderTrafficLosesItToTheOldOne(t *testing.T) {
	t.Parallel()
	s := newSite(t, watched(time.Hour))
	s.keeps()
	s.firstGoes(s.release("one"))
	load := s.load(4)
	broken := s.release("broken by the new carts")
	ended := s.ends(s.deploy(broken), towpath.DeploymentReturned)
	load.end()
	for _, told := range []string{"% of ", " requests failed (limit 1%; release 1: 0% of ", "cart_v2 does not exist"} {
		if !strings.Contains(ended.Outcome, told) {
			t.Errorf("the reason does not tell %q: %s", told, ended.Outcome)
		}
	}
	if said := s.says(); said != "one" {
		t.Errorf("afterwards the proxy's answer is %q", said)
	}
	e, _ := s.now()
	if e.Live.Number != 1 || e.Pin == nil || e.Pin.From.Number != broken.Number {
		t.Errorf("release %d is live, pinned by %+v", e.Live.Number, e.Pin)
	}
	_, seen := s.now()
	answered := towpath.ServedBy(seen.Served, broken.Number)
	if answered.Errors == 0 || answered.Errors > uint64(load.failed.Load()) {
		t.Errorf("%d requests failed, and the proxy counted %d", load.failed.Load(), answered.Errors)
	}
}

func TestAReleaseStandsItsWatchWhileTheOldOneStandsReady(t *testing.T) {
	t.Parallel()
	s := newSite(t, watched(3*time.Second))
	s.keeps()
	s.firstGoes(s.release("one"))
	load := s.load(4)
	two := s.deploy(s.release("two"))
	until(t, "the new release takes the traffic", func() bool { return s.says() == "two" })
	if e, _ := s.now(); e.Live.Number != 1 || len(s.standing()) != 4 {
		t.Errorf("while it is watched, release %d is live beside %q", e.Live.Number, s.standing())
	}
	ended := s.ends(two, towpath.DeploymentLive)
	if !strings.Contains(ended.Outcome, "watched for 3s: 0% of ") {
		t.Errorf("it is live: %q", ended.Outcome)
	}
	if took := ended.EndedAt.Sub(ended.TrafficAt); took < 3*time.Second {
		t.Errorf("it was watched for %s", took)
	}
	load.mustBeFlawless(t)
}

func TestAReleaseThatNobodyAsksIsLiveWithoutAVerdict(t *testing.T) {
	t.Parallel()
	s := newSite(t, watched(time.Second))
	s.keeps()
	ended := s.ends(s.deploy(s.release("one")), towpath.DeploymentLive)
	if !strings.Contains(ended.Outcome, "too few of 50 to judge") {
		t.Errorf("it is live: %q", ended.Outcome)
	}
}

// The keeper's successor goes on with the watch where it was: its beginning and its baseline are recorded.
func TestAWatchGoesOnWhenItsKeeperDies(t *testing.T) {
	t.Parallel()
	s := newSite(t, watched(4*time.Second))
	stop := s.keeps()
	s.firstGoes(s.release("one"))
	load := s.load(2)
	two := s.deploy(s.release("two"))
	s.hears("watch: ")
	began := s.deployment(two).WatchedAt
	stop()
	s.keeps()
	ended := s.ends(two, towpath.DeploymentLive)
	if !ended.WatchedAt.Equal(began) {
		t.Errorf("the watch began at %s, and again at %s", began, ended.WatchedAt)
	}
	load.mustBeFlawless(t)
}

// firstGoes deploys a release that there is nothing to compare with, and does not wait for its watch.
func (s *site) firstGoes(r towpath.Release) {
	s.t.Helper()
	watch := s.watch(towpath.WatchDefinition{})
	s.goes(r)
	s.watch(watch)
}

// watch defines anew how releases are watched, and answers how they were.
func (s *site) watch(d towpath.WatchDefinition) (before towpath.WatchDefinition) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	before, s.environment.Definition.Watch = s.environment.Definition.Watch, d
	s.environment.Serial++
	s.ring()
	return before
}

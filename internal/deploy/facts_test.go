package deploy_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/deploy"
)

func TestMergeGivesEachInstanceItsTraffic(t *testing.T) {
	target := towpath.Observation{Epoch: towpath.Epoch{Number: 3, Holder: "w1"}, Instances: []towpath.Instance{
		{ID: "r1-1", Release: 1, State: towpath.InstanceRunning}, {ID: "r2-2", Release: 2, State: towpath.InstancePlaced},
	}}
	busy := towpath.Traffic{Known: true, Member: true, Weight: 100, Requests: 2}
	balancer := towpath.Observation{
		Epoch: towpath.Epoch{Number: 4, Holder: "w2"}, Address: "127.0.0.1:8080",
		Instances: []towpath.Instance{{ID: "r1-1", Traffic: busy}, {ID: "r1-0", Traffic: busy}},
	}

	merged := deploy.Merge(target, balancer, true)
	want := towpath.Observation{Epoch: balancer.Epoch, Address: balancer.Address, Instances: []towpath.Instance{
		{ID: "r1-1", Release: 1, State: towpath.InstanceRunning, Traffic: busy},
		{ID: "r2-2", Release: 2, State: towpath.InstancePlaced, Traffic: towpath.Traffic{Known: true}},
		{
			ID: "r1-0", Release: 1, State: towpath.InstanceGone, Health: towpath.HealthFailing,
			Problem: "the target does not know it", Traffic: busy,
		},
	}}
	if diff := cmp.Diff(want, merged); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}

	for _, i := range deploy.Merge(target, balancer, false).Instances {
		if i.Traffic.Known || i.State == towpath.InstanceGone {
			t.Errorf("the balancer could not be read, and %+v is known of it", i)
		}
	}
	for _, i := range deploy.Merge(target, towpath.Observation{}, true).Instances {
		if !i.Traffic.IsIdle() {
			t.Errorf("there is no balancer, and %+v takes traffic", i)
		}
	}
}

func TestAnInstanceWhoseHostDoesNotAnswerIsNotGone(t *testing.T) {
	target := towpath.Observation{Slots: []towpath.Slot{
		{Name: "web1", Host: "web1", Address: "web1:80"}, {Name: "web2", Host: "web2", Address: "web2:80", Problem: "no route"},
	}}
	balancer := towpath.Observation{Instances: []towpath.Instance{{ID: "r1-1", Address: "web1:80"}, {ID: "r1-2", Address: "web2:80"}}}
	merged := deploy.Merge(target, balancer, true).Instances
	if merged[0].State != towpath.InstanceGone || merged[0].Slot != "" {
		t.Errorf("on a host that answers, it is %+v", merged[0])
	}
	if merged[1].State != towpath.InstanceUnknown || merged[1].Slot != "web2" || merged[1].Problem != "no route" {
		t.Errorf("on a host that does not, it is %+v", merged[1])
	}
}

func TestAnInstanceWhoseAddressIsLostHasTheBalancers(t *testing.T) {
	balancer := towpath.Observation{Instances: []towpath.Instance{{ID: "r1-1", Address: "127.0.0.1:1"}}}
	for address, want := range map[string]string{"": "127.0.0.1:1", "127.0.0.1:2": "127.0.0.1:2"} {
		target := towpath.Observation{Instances: []towpath.Instance{{ID: "r1-1", Release: 1, Address: address}}}
		if i := deploy.Merge(target, balancer, true).Instances[0]; i.Address != want {
			t.Errorf("at %q it is %+v", address, i)
		}
	}
}

func TestWithoutItsServerAKeeperTidiesNothing(t *testing.T) {
	s := shop().serves(release41)
	facts := s.facts()
	old := facts.Observed.Instances[0]
	old.ID, old.Release, old.Traffic = "r40-1", 40, towpath.Traffic{Known: true, Member: true}
	facts.Observed.Instances = append(facts.Observed.Instances, old)
	facts.Environment, _ = facts.Environment.Next(facts.TrafficSeen())
	plan := deploy.NewPlan(facts)
	if len(plan.Steps) == 0 || !plan.Reached {
		t.Fatalf("nothing is to be tidied: %+v", plan)
	}
	if alone := plan.Alone(facts); len(alone.Steps) > 0 {
		t.Errorf("it does %q", words(alone.Steps))
	}
	facts.Observed.Instances[0].Traffic.Weight = 0
	plan = deploy.NewPlan(facts)
	alone := plan.Alone(facts)
	if len(alone.Steps) == 0 || len(alone.Steps) >= len(plan.Steps) {
		t.Errorf("it does %q of %q", words(alone.Steps), words(plan.Steps))
	}
	if told := deploy.NewForecastAlone(facts).String(); strings.Contains(told, "remove") || !strings.Contains(told, "shift") {
		t.Errorf("it is told as\n%s", told)
	}
}

func TestWhatIsLiveIsShiftedWhereTheDefinitionSays(t *testing.T) {
	s := shop().serves(release41)
	facts := s.facts()
	if plan := deploy.NewPlan(facts); len(plan.Steps) > 0 {
		t.Fatalf("a satisfied situation needs %v", words(plan.Steps))
	}
	facts.Observed.Misrouted = true
	if got := words(deploy.NewPlan(facts).Steps); len(got) != 1 || !strings.HasPrefix(got[0], "shift to ") {
		t.Errorf("it takes %q", got)
	}
	if told := deploy.NewForecast(facts).String(); !strings.Contains(told, "to where the definition says") {
		t.Errorf("people are told\n%s", told)
	}
}

func TestADrainClockBeginsWhenTrafficIsKnownToHaveEnded(t *testing.T) {
	f := shop().serves(release42, release41).standsBy(release41).facts()
	f.Observed.Instances[0].Traffic.Known = false

	seen := f.TrafficSeen()
	if want := []string{"r41-3", "r41-4"}; !slices.Equal(seen.Idle, want) || seen.LastInstance != 4 {
		t.Errorf("idle %v, last %d; want %v, 4", seen.Idle, seen.LastInstance, want)
	}
	f.Environment, _ = f.Environment.Next(seen)
	f.Now = f.Now.Add(time.Minute)
	f.Environment, _ = f.Environment.Next(f.TrafficSeen())
	if since := f.Environment.Idle["r41-3"]; !since.Equal(noon) {
		t.Errorf("a later look moved the clock to %s", since)
	}
}

func TestAKeeperPerformsABarrierAlone(t *testing.T) {
	facts := shop().gated().serves(release41).wants(release42).facts()
	plan := deploy.NewPlan(facts)
	if got, want := words(plan.UpToBarrier()), []string{
		"check room for 2 of release 42", "place r42-3, r42-4 of release 42", "start r42-3, r42-4", "probe r42-3, r42-4",
	}; !slices.Equal(got, want) {
		t.Errorf("first %q, want %q", got, want)
	}
	plan.Steps = plan.Steps[4:]
	if got, want := words(plan.UpToBarrier()), []string{"test r42-3, r42-4"}; !slices.Equal(got, want) {
		t.Errorf("then %q, want %q", got, want)
	}
	if rest := (deploy.Plan{}).UpToBarrier(); len(rest) > 0 {
		t.Errorf("an empty plan has %v to do", rest)
	}
}

func words(steps []deploy.Step) []string {
	var text []string
	for _, step := range steps {
		text = append(text, step.Operation.String())
	}
	return text
}

func TestNothingIsConcludedWhileTheBalancerCannotBeRead(t *testing.T) {
	first := shop().wants(release41).giveUp().facts()
	later := shop().serves(release41).wants(release42).facts()
	for _, facts := range []deploy.Facts{first, later} {
		facts.Observed = deploy.Merge(facts.Observed, towpath.Observation{}, false)
		plan := deploy.NewPlan(facts)
		last := plan.Steps[len(plan.Steps)-1].Operation
		if _, waits := last.(deploy.Await); plan.Reached || !waits {
			t.Errorf("reached %t, and the plan ends with %q", plan.Reached, last)
		}
	}
}

package deploy_test

import (
	"testing"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/deploy"
)

func TestAMemberWithoutANameIsWhoAnswersAtItsAddress(t *testing.T) {
	share := towpath.Traffic{Known: true, Member: true, Weight: 100}
	at := func(id, address string, state towpath.InstanceState) towpath.Instance {
		release, _ := towpath.ParseInstanceID(id)
		return towpath.Instance{ID: id, Release: release, Address: address, State: state}
	}
	target := towpath.Observation{Instances: []towpath.Instance{
		at("r1-1", "web1:8001", towpath.InstanceStopped), at("r2-2", "web1:8001", towpath.InstanceRunning),
		at("r2-3", "web2:8001", towpath.InstanceRunning),
	}}
	balancer := towpath.Observation{Renewed: true, Instances: []towpath.Instance{
		{ID: "web1:8001", Address: "web1:8001", Problem: "it is down", Traffic: share},
		{ID: "r2-3", Address: "web2:8001", Traffic: share}, // one that has its own name
		{ID: "web2:8001", Address: "web2:8001", Traffic: share},
		{ID: "web3:8001", Address: "web3:8001", Traffic: share},
	}}
	merged := deploy.Merge(target, balancer, true)
	for n, want := range []struct {
		id       string
		isMember bool
		problem  string
	}{
		{"r1-1", false, ""},
		{"r2-2", true, "it is down"},
		{"r2-3", true, ""},
		{"web2:8001", true, "the target does not know it"},
		{"web3:8001", true, "the target does not know it"},
	} {
		got := merged.Instances[n]
		if got.ID != want.id || got.Traffic.Member != want.isMember || got.Problem != want.problem {
			t.Errorf("%+v, want %+v", got, want)
		}
	}
	if !merged.Renewed || deploy.Merge(target, balancer, false).Renewed {
		t.Error("that the balancer began anew is known where it was read, and only there")
	}
}

func TestWhatIsNotCountedIsDrainedOnceForAllOfItsTime(t *testing.T) {
	w := newWorld(towpath.EnvironmentDefinition{
		Name: "production", Instances: 1, Minimum: 1, Strategy: towpath.StrategyDefinition{Kind: towpath.StrategyBlueGreen},
		Balancer: towpath.BalancerDefinition{HAProxy: &towpath.HAProxyBalancer{}}, Drain: towpath.DrainDefinition{Requests: time.Minute},
	})
	w.environment.Goal = towpath.ReleaseRef{Number: 2, Change: 2}
	w.environment.Live = w.environment.Goal
	serving := towpath.Instance{
		ID: "r2-2", Release: 2, State: towpath.InstanceRunning, Health: towpath.HealthPassing,
		Traffic: towpath.Traffic{Known: true, Member: true, Weight: 100},
	}
	old := towpath.Instance{
		ID: "r1-1", Release: 1, State: towpath.InstanceRunning, Health: towpath.HealthPassing,
		Traffic: towpath.Traffic{Known: true, Member: true, Uncounted: true},
	}
	planned := func(since time.Duration) (drains int, first deploy.Operation) {
		w.environment.Idle = map[string]time.Time{"r1-1": noon.Add(-since)}
		plan := deploy.NewPlan(deploy.Facts{
			Environment: w.environment, Observed: towpath.Observation{Instances: []towpath.Instance{old, serving}}, Now: noon,
		})
		for _, step := range plan.Steps {
			if _, is := step.Operation.(deploy.Drain); is {
				drains++
			}
		}
		return drains, plan.Steps[0].Operation
	}
	if drains, first := planned(time.Second); drains != 1 || first.String() != "drain r1-1" {
		t.Errorf("%d drains, and first %s", drains, first)
	}
	if drains, first := planned(time.Minute); drains != 0 || first.String() != "forget r1-1" {
		t.Errorf("its time is over: %d drains, and first %s", drains, first)
	}
}

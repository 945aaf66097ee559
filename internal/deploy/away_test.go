package deploy_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/deploy"
)

// A keeper that cannot reach hosts in any way leaves the traffic where it is: for a moment, as long as none answers, and as long
// as the balancer says that they do.
func TestPropertyAKeeperThatIsCutOffTakesNobodyOutOfTheTraffic(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := satisfiedWorld(t)
		if !w.hasHosts() || !w.isBalanced() {
			t.Skip("it has no hosts, or nothing moves traffic")
		}
		w.checks = rapid.Bool().Draw(t, "checks")
		w.hosts.forgotten = rapid.Bool().Draw(t, "forgotten")
		hosts := w.definition().Target.Hosts.Hosts
		cut := rapid.IntRange(1, len(hosts)).Draw(t, "cut off")
		for _, h := range hosts[:cut] {
			w.goAway(h.Name, w.hosts.cut, w.hosts.mute)
		}
		w.wait(time.Second)
		if cut == len(hosts) || w.checks {
			w.wait(rapid.SampledFrom([]time.Duration{0, time.Minute, time.Hour}).Draw(t, "for"))
		}
		for _, step := range w.plan().UpToBarrier() { // what comes after a wait supposes that nobody answers until then
			if shift, is := step.Operation.(deploy.Shift); is {
				t.Fatalf("%s, as %s\n%v", shift, step.Reason, w)
			}
		}
	})
}

// A host that goes in the middle of a deployment ends in one of two ways: the others go on, and it is owed the release; or all
// go back. It gets no traffic before it runs what is live.
func TestPropertyAHostThatGoesInTheMiddleIsOwedTheRelease(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := inTheMiddle(t)
		hosts := c.definition().Target.Hosts.Hosts
		lost := hosts[rapid.IntRange(0, len(hosts)-1).Draw(t, "gone")].Name
		c.goAway(lost, c.hosts.dead, c.hosts.cut)
		c.wait(time.Minute)
		c.goBack()
		c.tidyUp()
		e := c.environment
		if left := len(hosts) - 1; e.Live.Number != 2 && left-1 >= c.definition().Minimum {
			t.Fatalf("%d hosts are enough, and release %d is live\n%v", left, e.Live.Number, c.world)
		}
		serving := c.serving()
		for id, m := range c.members {
			if m.weight > 0 && releaseOf(id) != e.Live.Number && (e.Live.Number == 2 || serving >= c.definition().Minimum && serving > 1) {
				t.Fatalf("%s takes traffic, and release %d is live\n%v", id, e.Live.Number, c.world)
			}
		}
		c.comeBack()
		c.converge()
		if err := c.satisfied(); err != nil {
			t.Fatalf("%v\n%v", err, c.world)
		}
	})
}

// inTheMiddle is a world of three hosts on which release 1 is live, and release 2 has come to some of them.
func inTheMiddle(t *rapid.T) *chaos {
	c := &chaos{t: t, last: 2, laws: []law{capacityIsKept, onlyTheProvedGetTraffic, nothingBusyIsStopped, onlyTheReachedIsConcluded}}
	c.target = towpath.TargetDefinition{Hosts: &towpath.HostsTarget{Path: "/srv/shop", Port: 8000}}
	for _, name := range []string{"web1", "web2", "web3"} {
		c.target.Hosts.Hosts = append(c.target.Hosts.Hosts, towpath.Host{Name: name})
	}
	if rapid.Bool().Draw(t, "two slots") {
		c.target.Hosts.Port, c.target.Hosts.Slots = 0, []towpath.HostSlot{{Name: "blue", Port: 8001}, {Name: "green", Port: 8002}}
	}
	d := towpath.EnvironmentDefinition{
		Name: "production", Target: c.target, Instances: 3, Minimum: rapid.IntRange(0, 2).Draw(t, "minimum"),
		Health:   towpath.HealthDefinition{HTTP: "/healthz", Within: time.Minute},
		Drain:    towpath.DrainDefinition{Requests: 30 * time.Second, Streams: time.Minute},
		Strategy: towpath.StrategyDefinition{Kind: towpath.StrategyRolling, Batch: 1},
		Balancer: towpath.BalancerDefinition{Proxy: &towpath.ProxyBalancer{Host: "*"}},
	}
	c.world = newWorld(d)
	c.checks = rapid.Bool().Draw(t, "checks")
	one, two := towpath.ReleaseRef{Number: 1, Change: 1}, towpath.ReleaseRef{Number: 2, Change: 2}
	c.happens(towpath.DeploymentRequested{At: c.now, Deployment: towpath.Deployment{ID: "one", Release: one, Cause: towpath.CauseRun}})
	c.happens(towpath.GoalReached{Epoch: c.environment.Epoch, Deployment: "one", At: c.now})
	for n := range c.target.Hosts.Hosts {
		slot := c.target.Slots()[n*max(1, len(c.target.Hosts.Slots))].Name
		id := towpath.InstanceID(1, n+1)
		c.processes[id] = &process{release: 1, slot: slot, since: c.now, state: towpath.InstanceRunning, passed: true}
		c.members[id] = &member{weight: deploy.FullWeight}
	}
	c.happens(towpath.DeploymentRequested{At: c.now, Deployment: towpath.Deployment{ID: "two", Release: two, Cause: towpath.CauseRun}})
	for range rapid.IntRange(0, 40).Draw(t, "steps") {
		if c.environment.Deployment == nil || !c.goesOn() {
			break
		}
	}
	if c.environment.Deployment == nil {
		t.Skip("it is over")
	}
	return c
}

// goesOn lets a keeper perform up to a barrier, and says whether it had anything to do.
func (c *chaos) goesOn() bool {
	seen := c.observe()
	steps := deploy.NewPlan(deploy.Facts{Environment: c.environment, Observed: seen, Now: c.now}).UpToBarrier()
	for _, step := range steps {
		c.wait(time.Second)
		if broken, failed := c.judged(c.laws, step.Operation, seen, nil); broken != nil {
			c.t.Fatalf("%v\n%v", broken, c.world)
		} else if failed != nil {
			return true
		}
	}
	return len(steps) > 0
}

// A keeper that was started anew has seen nothing of a host that it cannot reach, and its balancer knows who serves there by its
// address alone.
func TestWhoServesOnAHostThatNobodyHasLookedAtKeepsItsShare(t *testing.T) {
	d := towpath.EnvironmentDefinition{
		Name: "production", Instances: 2, Minimum: 1, Health: towpath.HealthDefinition{Within: time.Minute},
		Target: towpath.TargetDefinition{Hosts: &towpath.HostsTarget{
			Path: "/srv/shop", Port: 8000, Hosts: []towpath.Host{{Name: "web1"}, {Name: "web2"}},
		}},
		Strategy: towpath.StrategyDefinition{Kind: towpath.StrategyRolling, Batch: 1},
		Balancer: towpath.BalancerDefinition{HAProxy: &towpath.HAProxyBalancer{}},
	}
	e := towpath.NewEnvironment("p1", "shop", d, noon)
	live := towpath.ReleaseRef{Number: 2, Change: 2}
	e.Goal, e.Live, e.History = live, live, []towpath.ReleaseRef{live}
	slots := d.Target.Slots()
	slots[1].Problem, slots[1].Since = "it does not answer", noon.Add(-time.Hour)
	target := towpath.Observation{Slots: slots, Instances: []towpath.Instance{{
		ID: "r2-1", Release: 2, State: towpath.InstanceRunning, Health: towpath.HealthPassing, Slot: "web1", Address: slots[0].Address,
	}}}
	for checked, keeps := range map[towpath.Health]bool{"": true, towpath.HealthPassing: true, towpath.HealthFailing: false} {
		share := towpath.Traffic{Known: true, Member: true, Weight: deploy.FullWeight}
		away := towpath.Instance{ID: slots[1].Address, Address: slots[1].Address, Traffic: share}
		away.Traffic.Checked = checked
		seen := deploy.Merge(target, towpath.Observation{Instances: []towpath.Instance{
			{ID: slots[0].Address, Address: slots[0].Address, Traffic: share}, away,
		}}, true)
		plan := deploy.NewPlan(deploy.Facts{Environment: e, Observed: seen, Now: noon})
		isMoved := false
		for _, step := range plan.Steps {
			if _, is := step.Operation.(deploy.Shift); is {
				isMoved = true
			}
		}
		if isMoved == keeps {
			t.Errorf("its balancer says %q, and the plan is %v", checked, plan.Steps)
		}
	}
}

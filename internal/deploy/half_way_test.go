package deploy_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/deploy"
)

// A host that does not answer its keeper may serve all the same: what serves there, and elsewhere, is not let go for what
// cannot be had.
func TestPropertyAHostThatIsGoneCostsNoCapacity(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := halfWay(t, capacityIsKept, nothingBusyIsStopped, onlyTheReachedIsConcluded)
		hosts := c.definition().Target.Hosts.Hosts
		c.goAway(hosts[rapid.IntRange(0, len(hosts)-1).Draw(t, "cut off")].Name, c.hosts.cut)
		if rapid.Bool().Draw(t, "turned back") {
			c.giveUp("a host is gone")
		} else {
			c.rollBack()
		}
		c.goBack()
		c.tidyUp()
		c.comeBack()
		c.converge()
		if err := c.satisfied(); err != nil {
			t.Fatalf("%v\n%v", err, c.world)
		}
	})
}

// halfWay is a world in which release 2 serves in one slot of each host, and is not live yet; of release 1, which is, some
// has crashed, or was stopped.
func halfWay(t *rapid.T, laws ...law) *chaos {
	c := &chaos{t: t, laws: laws, last: 2}
	c.target = towpath.TargetDefinition{Hosts: &towpath.HostsTarget{
		Path: "/srv/shop", Slots: []towpath.HostSlot{{Name: "blue", Port: 8001}, {Name: "green", Port: 8002}},
	}}
	for _, name := range []string{"web1", "web2", "web3"}[:rapid.IntRange(2, 3).Draw(t, "hosts")] {
		c.target.Hosts.Hosts = append(c.target.Hosts.Hosts, towpath.Host{Name: name})
	}
	c.world = newWorld(c.draw(rapid.Bool().Draw(t, "balanced")))
	one, two := towpath.ReleaseRef{Number: 1, Change: 1}, towpath.ReleaseRef{Number: 2, Change: 2}
	c.happens(towpath.DeploymentRequested{At: c.now, Deployment: towpath.Deployment{ID: "one", Release: one, Cause: towpath.CauseRun}})
	c.happens(towpath.GoalReached{Epoch: c.environment.Epoch, Deployment: "one", At: c.now})
	c.happens(towpath.DeploymentRequested{At: c.now, Deployment: towpath.Deployment{ID: "two", Release: two, Cause: towpath.CauseRun}})
	states := []towpath.InstanceState{towpath.InstanceRunning, towpath.InstanceFailing, towpath.InstanceStopped}
	for n, slot := range c.target.Slots() {
		if n%2 == 0 {
			old := &process{release: 1, slot: slot.Name, since: c.now, state: rapid.SampledFrom(states).Draw(t, "old")}
			old.passed = old.state == towpath.InstanceRunning
			c.processes[towpath.InstanceID(1, n+1)] = old
			continue
		}
		id := towpath.InstanceID(2, n+1)
		c.processes[id] = &process{release: 2, slot: slot.Name, since: c.now, state: towpath.InstanceRunning, passed: true}
		if c.isBalanced() {
			c.members[id] = &member{weight: deploy.FullWeight, requests: rapid.IntRange(0, 2).Draw(t, "requests")}
		}
	}
	return c
}

// tidyUp lets a keeper work for a while after a deployment has ended, unless it waits for more to be seen.
func (c *chaos) tidyUp() {
	for range 30 {
		seen := c.observe()
		for _, step := range deploy.NewPlan(deploy.Facts{Environment: c.environment, Observed: seen, Now: c.now}).UpToBarrier() {
			c.wait(time.Second)
			if broken, failed := c.judged(c.laws, step.Operation, seen, nil); broken != nil {
				c.t.Fatalf("%v\n%v", broken, c.world)
			} else if failed != nil {
				break
			}
		}
	}
}

package deploy_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"pgregory.net/rapid"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/deploy"
)

// chaos is a keeper at work in a world where everything goes wrong: operations fail before, in or after their effect,
// the keeper is killed between any two of them, people change things by hand, and want other things.
type chaos struct {
	*world
	t    *rapid.T
	laws []law
	last int // number of the newest release

	target towpath.TargetDefinition
}

func newChaos(t *rapid.T, laws ...law) *chaos {
	c := &chaos{t: t, laws: laws}
	c.drawTarget()
	c.world = newWorld(c.draw(rapid.Bool().Draw(t, "balanced")))
	c.checks = rapid.Bool().Draw(t, "checks")
	c.deploy()
	for range rapid.IntRange(0, 25).Draw(t, "rounds") {
		c.mischief()
		c.round()
	}
	return c
}

// draw makes a definition that a pipeline file may have.
func (c *chaos) draw(balanced bool) towpath.EnvironmentDefinition {
	d := towpath.EnvironmentDefinition{
		Name: "production", Target: c.target, Instances: rapid.IntRange(1, 3).Draw(c.t, "instances"),
		Health: towpath.HealthDefinition{HTTP: "/healthz", Within: time.Minute},
		Drain:  towpath.DrainDefinition{Requests: 30 * time.Second, Streams: 5 * time.Minute},
	}
	if d.Target.Hosts != nil {
		d.Instances = len(d.Target.Hosts.Hosts)
	}
	if balanced {
		d.Balancer.Proxy = &towpath.ProxyBalancer{Host: "*"}
	}
	if balanced && rapid.Bool().Draw(c.t, "watched") {
		d.Watch = towpath.WatchDefinition{For: 5 * time.Minute, Errors: 0.01, Minimum: 50}
	}
	d.Drift = rapid.SampledFrom([]towpath.DriftPolicy{towpath.DriftReport, towpath.DriftMend}).Draw(c.t, "drift")
	if rapid.IntRange(0, 3).Draw(c.t, "hooked") == 0 {
		d.Hooks = towpath.HooksDefinition{Before: "./before.sh", After: "./after.sh", Failed: "./failed.sh"}
	}
	if rapid.Bool().Draw(c.t, "single") {
		d.Processes = []towpath.ProcessDefinition{{Name: "clock", Single: true}}
	}
	c.drawStrategy(&d)
	return d
}

// drawTarget says where releases run for good: on hosts with one slot or two, or where slots are made.
func (c *chaos) drawTarget() {
	if rapid.Bool().Draw(c.t, "made") {
		c.target = towpath.TargetDefinition{Process: &towpath.ProcessTarget{Command: "./shop"}}
		return
	}
	target := &towpath.HostsTarget{Path: "/srv/shop", Port: 8000, Keep: rapid.IntRange(0, 2).Draw(c.t, "keep")}
	for n := range rapid.IntRange(1, 4).Draw(c.t, "hosts") {
		target.Hosts = append(target.Hosts, towpath.Host{Name: fmt.Sprintf("web%d", n+1)})
	}
	if rapid.Bool().Draw(c.t, "two slots") {
		target.Port, target.Slots = 0, []towpath.HostSlot{{Name: "blue", Port: 8001}, {Name: "green", Port: 8002}}
	}
	c.target = towpath.TargetDefinition{Hosts: target}
}

// drawStrategy chooses among those that the target and the balancer can do, with a minimum that it keeps.
func (c *chaos) drawStrategy(d *towpath.EnvironmentDefinition) {
	isBalanced, canStandBeside := d.Balancer.Proxy != nil, d.Target.Hosts == nil || len(d.Target.Hosts.Slots) > 0
	kinds := []towpath.StrategyKind{towpath.StrategyAllAtOnce, towpath.StrategyRolling, towpath.StrategyRolling}
	if isBalanced && canStandBeside {
		kinds = append(kinds, towpath.StrategyBlueGreen, towpath.StrategyBlueGreen, towpath.StrategyCanary, towpath.StrategyCanary)
	}
	d.Strategy = towpath.StrategyDefinition{Kind: rapid.SampledFrom(kinds).Draw(c.t, "strategy")}
	most := 0
	switch d.Strategy.Kind {
	case towpath.StrategyBlueGreen:
		most = d.Instances
		d.Strategy.Standby = rapid.SampledFrom([]time.Duration{0, time.Hour}).Draw(c.t, "standby")
		d.Strategy.Test = rapid.SampledFrom([]string{"", "./smoke.sh"}).Draw(c.t, "test")
		d.Strategy.UntilPromoted = rapid.Bool().Draw(c.t, "until promoted")
	case towpath.StrategyCanary:
		most = d.Instances
		d.Strategy.Standby = rapid.SampledFrom([]time.Duration{0, time.Hour}).Draw(c.t, "standby")
		for n := range rapid.IntRange(1, 3).Draw(c.t, "steps") {
			step := towpath.CanaryStep{Share: rapid.IntRange(1+30*n, 30+30*n).Draw(c.t, "share"), UntilPromoted: true}
			if rapid.Bool().Draw(c.t, "timed") {
				step.For, step.UntilPromoted = time.Minute, false
			}
			d.Strategy.Steps = append(d.Strategy.Steps, step)
		}
	case towpath.StrategyRolling:
		d.Strategy.Batch = rapid.IntRange(1, d.Instances).Draw(c.t, "batch")
		if canStandBeside {
			d.Strategy.Surge = rapid.IntRange(0, 2).Draw(c.t, "surge")
		}
		most = d.Instances - max(0, d.Strategy.Batch-d.Strategy.Surge)
	}
	d.Minimum = rapid.IntRange(0, most).Draw(c.t, "minimum")
}

// round is one turn of the keeper: observe, plan, perform up to the next barrier.
func (c *chaos) round() {
	seen := c.observe()
	plan := deploy.NewPlan(deploy.Facts{Environment: c.environment, Observed: seen, Now: c.now})
	for _, step := range plan.UpToBarrier() {
		if !c.attempt(step.Operation, seen) {
			return
		}
		c.traffic()
		if rapid.IntRange(0, 9).Draw(c.t, "killed") == 0 {
			return
		}
	}
}

// attempt performs an operation that may fail, and says whether the keeper thinks that it did not.
func (c *chaos) attempt(o deploy.Operation, seen towpath.Observation) bool {
	fate := rapid.SampledFrom([]string{"done", "done", "done", "done", "not done", "half done", "done, unknown"}).Draw(c.t, "fate")
	if fate == "not done" {
		return false
	}
	var some func(string) bool
	if fate == "half done" {
		half := c.random()
		some = func(string) bool { return half.IntN(2) == 0 }
	}
	broken, failed := c.judged(c.laws, o, seen, some)
	if broken != nil {
		c.t.Fatalf("%v\n%v", broken, c.world)
	}
	if failed != nil && rapid.Bool().Draw(c.t, "give up") {
		c.giveUp("it failed")
	}
	return failed == nil && fate == "done"
}

func (c *chaos) random() *rand.Rand {
	return rand.New(rand.NewPCG(rapid.Uint64().Draw(c.t, "seed"), 0)) //nolint:gosec // a test's dice
}

// traffic lets requests come and go.
func (c *chaos) traffic() {
	dice := c.random()
	c.wait(time.Duration(dice.IntN(10)) * time.Second)
	c.serve(uint64(dice.IntN(4)) * 100)
	for _, id := range slices.Sorted(maps.Keys(c.members)) {
		m := c.members[id]
		if m.weight > 0 {
			m.requests, m.streams = dice.IntN(3), dice.IntN(2)
		} else {
			m.requests, m.streams = min(m.requests, dice.IntN(3)), min(m.streams, dice.IntN(2))
		}
	}
}

func (c *chaos) deploy() {
	c.last++
	c.sick[c.last] = rapid.IntRange(0, 2).Draw(c.t, "sick") == 0
	c.erring[c.last] = rapid.IntRange(0, 3).Draw(c.t, "erring") == 0
	d := towpath.Deployment{
		ID: towpath.InstanceID(c.last, 0), Release: towpath.ReleaseRef{Number: c.last, Change: c.last},
		Cause: rapid.SampledFrom([]towpath.Cause{towpath.CauseRun, towpath.CauseManual}).Draw(c.t, "cause"),
	}
	if rapid.IntRange(0, 3).Draw(c.t, "redefine") == 0 {
		definition := c.draw(c.isBalanced())
		d.Definition = &definition
	}
	c.happens(towpath.DeploymentRequested{Deployment: d, At: c.now})
}

func (c *chaos) giveUp(reason string) {
	if d := c.environment.Deployment; d != nil {
		c.happens(towpath.GoalFailed{Epoch: c.environment.Epoch, Deployment: d.ID, Returning: d.IsReturning(), Reason: reason, At: c.now})
	}
}

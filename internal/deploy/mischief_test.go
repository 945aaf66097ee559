package deploy_test

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"pgregory.net/rapid"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/deploy"
)

// mischief lets something happen that the keeper had no hand in.
func (c *chaos) mischief() {
	kinds := []func(){
		func() {}, func() {}, c.traffic,
		c.deploy, c.rollBack, c.promote, c.takeOver, c.jump,
		func() { c.giveUp("somebody saw it fail") },
		func() { c.blind = !c.blind },
		func() { c.misrouted = true },
		c.away, c.haze, c.crash, c.restart, c.hang, c.vanish, c.startByHand,
		c.weighByHand, c.forgetByHand, c.stray, c.strayMember, c.sicken, c.singleDies, c.sayGone,
	}
	kinds[rapid.IntRange(0, len(kinds)-1).Draw(c.t, "mischief")]()
}

func (c *chaos) rollBack() {
	c.happens(towpath.RollbackRequested{ID: fmt.Sprintf("back-%d", c.now.UnixNano()), By: "ben", At: c.now})
}

func (c *chaos) promote() {
	if d := c.environment.Deployment; d != nil {
		c.happens(towpath.Promoted{Deployment: d.ID, By: "ana", At: c.now})
	}
}

func (c *chaos) takeOver() {
	c.happens(towpath.KeeperLeased{
		Worker: "w1", Holder: fmt.Sprintf("w1/%d", c.now.UnixNano()), At: c.now, Expires: c.now.Add(time.Minute),
	})
}

func (c *chaos) jump() {
	c.wait(rapid.SampledFrom([]time.Duration{time.Second, time.Minute, 20 * time.Minute, 2 * time.Hour}).Draw(c.t, "jump"))
}

// onSome does something to one of the processes.
func (c *chaos) onSome(do func(id string, p *process)) {
	names := slices.Sorted(maps.Keys(c.processes))
	if len(names) > 0 {
		id := rapid.SampledFrom(names).Draw(c.t, "process")
		do(id, c.processes[id])
	}
}

func (c *chaos) haze() {
	c.onSome(func(id string, _ *process) {
		if c.hazy[id] {
			delete(c.hazy, id)
		} else {
			c.hazy[id] = true
		}
	})
}

func (c *chaos) crash() {
	c.onSome(func(_ string, p *process) {
		if p.state == towpath.InstanceRunning {
			p.state, p.passed, p.since = towpath.InstanceFailing, false, c.now
		}
	})
}

// restart lets a process that crashed come up again, by its supervisor.
func (c *chaos) restart() {
	c.onSome(func(_ string, p *process) {
		if p.state == towpath.InstanceFailing {
			p.state, p.passed, p.since = towpath.InstanceRunning, true, c.now
		}
	})
}

func (c *chaos) hang() { c.onSome(func(_ string, p *process) { p.broken = true }) }

func (c *chaos) vanish() { c.onSome(func(id string, _ *process) { delete(c.processes, id) }) }

func (c *chaos) startByHand() {
	c.onSome(func(id string, _ *process) { _ = c.start(id) })
}

// onMember does something to one of the balancer's members.
func (c *chaos) onMember(do func(id string, m *member)) {
	names := slices.Sorted(maps.Keys(c.members))
	if len(names) > 0 {
		id := rapid.SampledFrom(names).Draw(c.t, "member")
		do(id, c.members[id])
	}
}

func (c *chaos) weighByHand() {
	c.onMember(func(id string, m *member) {
		c.byHand[id] = true
		weight := rapid.SampledFrom([]int{0, 1, deploy.FullWeight}).Draw(c.t, "weight")
		if m.weight > 0 && weight == 0 {
			m.idleSince = c.now
		}
		m.weight = weight
	})
}

func (c *chaos) forgetByHand() {
	c.onMember(func(id string, _ *member) {
		c.byHand[id] = true
		_ = c.forget(id)
	})
}

// stray is a process that somebody left here.
func (c *chaos) stray() {
	id := c.strayName()
	state := rapid.SampledFrom([]towpath.InstanceState{
		towpath.InstancePlaced, towpath.InstanceRunning, towpath.InstanceStopped, towpath.InstanceFailing,
	}).Draw(c.t, "state")
	p := &process{release: releaseOf(id), state: state, passed: true, since: c.now}
	c.processes[id] = p
	if slots := c.definition().Target.Slots(); len(slots) > 0 {
		p.slot = slots[rapid.IntRange(0, len(slots)-1).Draw(c.t, "slot")].Name
	}
	if len(c.occupants([]string{id})) > 0 {
		p.state = towpath.InstanceStopped // its port is taken
	}
}

func (c *chaos) strayMember() {
	if c.isBalanced() {
		id := c.strayName()
		c.byHand[id] = true
		c.members[id] = &member{weight: rapid.IntRange(0, 1).Draw(c.t, "weight"), idleSince: c.now}
	}
}

func (c *chaos) strayName() string {
	release := rapid.IntRange(1, c.last).Draw(c.t, "release")
	last := c.environment.LastInstance
	for id := range c.processes {
		last = max(last, serialOf(id))
	}
	return towpath.InstanceID(release, last+rapid.IntRange(1, 5).Draw(c.t, "serial"))
}

func (c *chaos) sicken() {
	release := rapid.IntRange(1, c.last).Draw(c.t, "release")
	c.sick[release] = !c.sick[release]
}

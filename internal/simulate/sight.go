package simulate

import (
	"slices"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/deploy"
)

// sight is what a keeper has seen of a machine last.
type sight struct {
	instances []towpath.Instance
	isStale   bool          // it has ordered since that something else runs there
	missed    time.Duration // since when looks have missed it, by the keeper's steady clock; 0 where the last one did not
	unheard   time.Duration // since when nothing there has answered a probe either
}

// sightOf is what a keeper has seen of a machine.
func (p *performer) sightOf(b *box) *sight {
	if p.sights[b] == nil {
		p.sights[b] = &sight{}
	}
	return p.sights[b]
}

// look is one at a machine. Where it is missed, the driver probes over the network what it saw there last.
func (t *target) look(b *box, by *performer) (instances []towpath.Instance, problem string, since time.Time) {
	known, k := by.sightOf(b), by.keeper
	if w := t.site.world; b.isSeen(k.host) && (w.now >= b.slow || !w.dice.chance(0.3)) {
		for _, i := range t.on(b) {
			instances = append(instances, i.shown())
		}
		*known = sight{instances: instances}
		return instances, "", time.Time{}
	}
	if known.missed == 0 {
		known.missed = max(k.steady(), 1)
	}
	switch {
	case b.isSeen(k.host):
		known.unheard = 0
	case known.unheard == 0:
		known.unheard = max(k.steady(), 1)
	}
	ago := func(since time.Duration) time.Time { return k.wall().Add(since - k.steady()) }
	for _, i := range known.instances {
		instances = append(instances, t.probed(b, i, known, k.host, ago))
	}
	return instances, errAway.Error(), ago(known.missed)
}

// probed is an instance of which its machine says nothing: who answers where it ran is told by a probe, unless something else may
// run there by now.
func (t *target) probed(b *box, i towpath.Instance, known *sight, from *host, ago func(time.Duration) time.Time) towpath.Instance {
	wasRunning := i.State == towpath.InstanceRunning && !known.isStale
	i.State, i.Health, i.Problem, i.Since = towpath.InstanceUnknown, towpath.HealthUnknown, errAway.Error(), ago(known.missed)
	switch tenant := t.tenant(b, i.Slot); {
	case !wasRunning:
	case !b.isSeen(from):
		i.Silent, i.Since = true, ago(known.unheard)
	case tenant != nil && tenant.fine:
		i.Health = towpath.HealthPassing
	default:
		i.Health = towpath.HealthFailing // it is refused, or answered badly
	}
	return i
}

// tenant is what runs in a slot.
func (t *target) tenant(b *box, slot string) *instance {
	for _, i := range t.on(b) {
		if i.slot == slot && i.isStarted() {
			return i
		}
	}
	return nil
}

// doubts forgets what was seen running where an order changes that.
func (p *performer) doubts(o order) {
	switch o.operation.(type) {
	case deploy.Start, deploy.Stop, deploy.Remove:
	default:
		return
	}
	for _, id := range deploy.InstancesOf(o.operation) {
		if i := p.site.target.find(id); i != nil {
			p.sightOf(i.box).isStale = true
		}
	}
}

// cutOff notes that nobody there hears a keeper's machine for a while.
func (b *box) cutOff(from string, until time.Duration) {
	now, spells := b.world.now, b.unheard[from]
	if n := len(spells) - 1; n >= 0 && now <= spells[n].to {
		spells[n].to = max(spells[n].to, until)
		return
	}
	b.unheard[from] = append(spells, spell{from: now, to: until})
}

// isLost says that a keeper could not tell, at that time, whether anything was left of the machine: for so long it had not heard
// of it in any way.
func (b *box) isLost(to *host, at, after time.Duration) bool {
	return slices.ContainsFunc(b.unheard[to.id], func(s spell) bool { return s.from <= at-almost(after) && at <= s.to })
}

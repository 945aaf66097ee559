package deploy_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"pgregory.net/rapid"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/deploy"
)

// errNoAnswer is how an operation ends that needs a host that is away.
var errNoAnswer = errors.New("no answer")

// hosts is how the machines are that a world has where its target's slots are fixed.
type hosts struct {
	dead      map[string]bool      // they answer nobody
	cut       map[string]bool      // they answer requests, but not their keeper
	mute      map[string]bool      // of these, those where its probes are not answered either
	since     map[string]time.Time // since when they are away
	forgotten bool                 // the driver does not know what was on those that are away
}

func (w *world) hasHosts() bool { return w.definition().Target.Hosts != nil }

func (w *world) hasOneSlotAHost() bool {
	return w.hasHosts() && len(w.definition().Target.Hosts.Slots) < 2
}

// hostOf answers the host of a slot; empty where there are none.
func (w *world) hostOf(slot string) string {
	for _, s := range w.definition().Target.Slots() {
		if s.Name == slot {
			return s.Host
		}
	}
	return ""
}

func (w *world) isDead(p *process) bool { return w.hosts.dead[w.hostOf(p.slot)] }

// isAway says that the keeper can do nothing about a process.
func (w *world) isAway(p *process) bool { return w.isHostAway(w.hostOf(p.slot)) }

func (w *world) isHostAway(host string) bool { return w.hosts.dead[host] || w.hosts.cut[host] }

// isForgotten says that the target does not tell of an instance, because its host is away. One that its balancer knows is
// told of all the same.
func (w *world) isForgotten(id string) bool {
	return w.hosts.forgotten && w.isAway(w.processes[id]) && (w.members[id] == nil || w.blind)
}

func (w *world) lookAtSlots() []towpath.Slot {
	slots := w.definition().Target.Slots()
	for n, s := range slots {
		if w.isHostAway(s.Host) {
			slots[n].Problem, slots[n].Since = "it does not answer", w.hosts.since[s.Host]
		}
	}
	return slots
}

// occupants are the processes that run in the slots of others, and would be ended if those were started.
func (w *world) occupants(ids []string) []string {
	var found []string
	for _, id := range ids {
		started := w.processes[id]
		for other, p := range w.processes {
			runs := p.state == towpath.InstanceRunning || p.state == towpath.InstanceFailing
			if started != nil && other != id && started.slot != "" && p.slot == started.slot && runs {
				found = append(found, other)
			}
		}
	}
	slices.Sort(found)
	return found
}

// isKept says that the files of a release stay on hosts, beside those of the goal.
func (w *world) isKept(release int) bool {
	e := w.environment
	if !w.hasHosts() || release == e.Goal.Number {
		return false
	}
	var good []int
	for _, r := range e.History {
		if r.Number != e.Live.Number && r.Number != e.Goal.Number {
			good = append(good, r.Number)
		}
	}
	good = good[max(0, len(good)-w.definition().Target.Hosts.Keep):]
	isPinned := e.Pin != nil && e.Pin.From.Number == release && !slices.Contains(e.Failed, e.Pin.From)
	return slices.Contains(good, release) || isPinned || release == e.Live.Number && e.Goal != e.Live
}

// goodFilesStay is what hosts owe: the last files of a release that is kept are not taken away.
func goodFilesStay(w *world, o deploy.Operation, _ towpath.Observation) (func() error, error) {
	remove, is := o.(deploy.Remove)
	if !is {
		return nothingMore, nil
	}
	for _, id := range remove.Instances {
		p := w.processes[id]
		if p == nil || !w.isKept(p.release) {
			continue
		}
		others := 0
		for other, q := range w.processes {
			if q.release == p.release && w.hostOf(q.slot) == w.hostOf(p.slot) && !slices.Contains(remove.Instances, other) {
				others++
			}
		}
		if others == 0 {
			return nil, fmt.Errorf("%q takes the last files of release %d from %s", o, p.release, w.hostOf(p.slot))
		}
	}
	return nothingMore, nil
}

// unneeded answers what is there besides the goal's instances and the files that are kept.
func (w *world) unneeded() error {
	kept := map[string]bool{}
	for _, id := range slices.Sorted(maps.Keys(w.processes)) {
		p := w.processes[id]
		if p.release == w.environment.Goal.Number && p.state == towpath.InstanceRunning {
			continue
		}
		files := fmt.Sprint(p.release, w.hostOf(p.slot))
		isFiles := p.state == towpath.InstancePlaced || p.state == towpath.InstanceStopped
		if !isFiles || !w.isKept(p.release) || kept[files] {
			return fmt.Errorf("%s of release %d was left behind", id, p.release)
		}
		kept[files] = true
	}
	return nil
}

// turnsAreTaken is what a rolling deployment owes: of what serves, no more than a batch is out at once, less what may run
// beside it, and no more runs than may. What nobody knows of is left out of it.
func turnsAreTaken(w *world, o deploy.Operation, _ towpath.Observation) (func() error, error) {
	s := w.definition().Strategy
	if s.Kind != towpath.StrategyRolling || w.environment.Goal.Number == 0 || len(w.hazy) > 0 {
		return nothingMore, nil
	}
	surge := s.Surge
	if w.hasOneSlotAHost() {
		surge = 0
	}
	out := s.Batch
	if surge > 0 {
		out = max(0, s.Batch-surge)
	}
	d, serving, wanted := w.definition(), w.capacity(), w.wanted()
	surplus := w.surplus(d)
	return func() error {
		if w.capacity() < min(serving, wanted-out-w.leftOut()) {
			return fmt.Errorf("%d of %d serve, %d did", w.capacity(), wanted, serving)
		}
		if w.surplus(d) > max(surplus, surge) {
			return fmt.Errorf("%d run more than are wanted, %d before, and %d are allowed", w.surplus(d), surplus, surge)
		}
		return nil
	}, nil
}

func (w *world) runningCount() int { return len(w.running(slices.Collect(maps.Keys(w.processes)))) }

// surplus counts those that run, or end and are started again, beyond what a definition wants: on hosts, beyond one on each. Of what
// somebody has put on one of them, another host knows nothing, and of one that is away nobody knows what runs.
func (w *world) surplus(d towpath.EnvironmentDefinition) (count int) {
	started := make(map[string]int) // by host
	for _, p := range w.processes {
		if !w.isAway(p) && (p.state == towpath.InstanceRunning || p.state == towpath.InstanceFailing) {
			started[w.hostOf(p.slot)]++
		}
	}
	if d.Target.Hosts == nil {
		return started[""] - d.Instances
	}
	for _, n := range started {
		count += max(0, n-1)
	}
	return count
}

// away lets a host be away for its keeper, or for everybody; or come back, with what it had.
func (c *chaos) away() {
	if !c.hasHosts() {
		return
	}
	all := c.definition().Target.Hosts.Hosts
	host := all[rapid.IntRange(0, len(all)-1).Draw(c.t, "host")].Name
	switch rapid.IntRange(0, 4).Draw(c.t, "away") {
	case 0:
		c.goAway(host, c.hosts.dead)
	case 1:
		c.goAway(host, c.hosts.cut)
	case 2:
		c.goAway(host, c.hosts.cut, c.hosts.mute)
	default:
		for _, kind := range []map[string]bool{c.hosts.dead, c.hosts.cut, c.hosts.mute} {
			delete(kind, host)
		}
		delete(c.hosts.since, host)
	}
	c.hosts.forgotten = rapid.Bool().Draw(c.t, "forgotten")
}

// goAway has a host be away in some ways.
func (w *world) goAway(host string, kinds ...map[string]bool) {
	if !w.isHostAway(host) {
		w.hosts.since[host] = w.now
	}
	for _, kind := range kinds {
		kind[host] = true
	}
}

// isLost says that a host serves, and looks to its keeper as if it were gone for good: nobody else looks after what it runs.
func (w *world) isLost(p *process) bool {
	host := w.hostOf(p.slot)
	return w.hosts.mute[host] && !w.checks && !w.now.Before(w.hosts.since[host].Add(w.definition().Health.Within))
}

// loseAHost takes one of several away for good.
func (c *chaos) loseAHost() {
	if slots := c.definition().Target.Slots(); c.wanted() > 1 && len(slots) > 0 {
		host := slots[rapid.IntRange(0, len(slots)-1).Draw(c.t, "lost")].Host
		if rapid.Bool().Draw(c.t, "dead") {
			c.goAway(host, c.hosts.dead)
		}
		c.goAway(host, c.hosts.cut)
	}
}

// comeBack lets all hosts answer again.
func (c *chaos) comeBack() {
	clear(c.hosts.dead)
	clear(c.hosts.cut)
	clear(c.hosts.mute)
	clear(c.hosts.since)
}

// keep puts files of an earlier release where one serves, if they are kept there.
func (w *world) keep(id, slot string, isThere bool) {
	if isThere && w.isKept(releaseOf(id)) {
		w.processes[id] = &process{release: releaseOf(id), state: towpath.InstanceStopped, slot: slot, since: noon}
	}
}

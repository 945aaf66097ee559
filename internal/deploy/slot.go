package deploy

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/towpath-cd/towpath"
)

// host is a machine of a target whose slots are fixed. It runs one instance of the goal.
type host struct {
	name    string
	slots   []string
	problem string    // why nothing can be done on it; empty where it answers
	since   time.Time // since when that is so; zero where it will not end by itself
}

// hostsOf answers the hosts of a definition, in its order; none where its target makes slots.
func hostsOf(f Facts) []host {
	var hosts []host
	for _, slot := range f.Environment.Definition.Target.Slots() {
		if len(hosts) == 0 || hosts[len(hosts)-1].name != slot.Host {
			hosts = append(hosts, host{name: slot.Host})
		}
		h := &hosts[len(hosts)-1]
		h.slots = append(h.slots, slot.Name)
	}
	for n := range hosts {
		for _, seen := range f.Observed.Slots {
			if seen.Host == hosts[n].name && seen.Problem != "" && hosts[n].problem == "" {
				hosts[n].problem, hosts[n].since = seen.Problem, seen.Since
			}
		}
	}
	return hosts
}

// chooseOnHosts takes the best instance of the goal on each host. Of one that is left out only what is ready counts.
func (s *situation) chooseOnHosts(candidates []towpath.Instance) {
	s.wanted = 0
	for _, h := range s.hosts {
		isLeftOut := s.isLeftOut(h)
		best := slices.IndexFunc(candidates, func(i towpath.Instance) bool {
			return slices.Contains(h.slots, i.Slot) && s.mayRun(h, i) && (!isLeftOut || isReady(i))
		})
		if best >= 0 {
			s.chosen = append(s.chosen, candidates[best])
		}
		if best >= 0 || !isLeftOut {
			s.wanted++
		}
	}
}

// missing names the hosts that are left out.
func (s situation) missing() []string {
	var names []string
	for _, h := range s.hosts {
		if s.isLeftOut(h) && !s.isFilled(h) {
			names = append(names, h.name)
		}
	}
	return names
}

// missingInWords tells people which hosts are left out; empty where none is.
func (s situation) missingInWords() string {
	names := s.missing()
	switch {
	case len(names) == 0:
		return ""
	case len(s.staying()) > 0:
		return strings.Join(names, ", ") + " cannot be reached, and is left out until then; what else serves stays, as " +
			count(s.minimum, "healthy instance") + " must take traffic"
	default:
		return fmt.Sprintf("%s cannot be reached, and is left out until then: release %d comes to it before any traffic does",
			strings.Join(names, ", "), s.Environment.Goal.Number)
	}
}

// isFilled says that a host has an instance of the goal.
func (s situation) isFilled(h host) bool {
	return slices.ContainsFunc(s.chosen, func(c towpath.Instance) bool { return slices.Contains(h.slots, c.Slot) })
}

// isOutOfReach says that nothing can be done to an instance where it runs; its balancer can still be told.
func (s situation) isOutOfReach(i towpath.Instance) bool {
	h := s.hostOf(i)
	return h != nil && h.problem != ""
}

func (s situation) hostOf(i towpath.Instance) *host {
	for n := range s.hosts {
		if i.Slot != "" && slices.Contains(s.hosts[n].slots, i.Slot) {
			return &s.hosts[n]
		}
	}
	return nil
}

// hasSpareSlots says that new instances can run beside the old ones.
func (s situation) hasSpareSlots() bool {
	return !slices.ContainsFunc(s.hosts, func(h host) bool { return len(h.slots) < 2 })
}

// claim says how much what runs in a slot is needed there: the lower, the better another instance may have it.
func (s situation) claim(slot string) (claim int) {
	const free, idle, standsBy, goodIdle, serves, goodServes = 0, 1, 2, 3, 4, 5
	for _, i := range s.Observed.Instances {
		t, isLive := s.traffic(i), i.Release == s.Environment.Live.Number
		takes := !t.Known || s.takesTraffic(i)
		switch {
		case i.Slot != slot || !isStarted(i):
		case s.isBroken(i):
			claim = max(claim, idle)
		case isLive && takes:
			claim = max(claim, goodServes)
		case takes:
			claim = max(claim, serves)
		case isLive:
			claim = max(claim, goodIdle)
		case s.isStandby(i):
			claim = max(claim, standsBy)
		default:
			claim = max(claim, idle)
		}
	}
	return claim
}

// vacant answers the slot of a host that a new instance gets, and how much what runs there is needed.
func (s situation) vacant(h host) (slot string, claim int) {
	slot = slices.MinFunc(h.slots, func(a, b string) int { return cmp.Compare(s.claim(a), s.claim(b)) })
	return slot, s.claim(slot)
}

// mayRun says that an instance runs in a slot of the host, or may be started there: without ending anything that
// another slot would let go on.
func (s situation) mayRun(h host, i towpath.Instance) bool {
	const standsBy = 2
	_, least := s.vacant(h)
	return isStarted(i) || s.claim(i.Slot) <= max(least, standsBy)
}

// displaced are the instances in whose slots others of the goal will be started.
func (s situation) displaced() []towpath.Instance {
	return filter(s.others, func(i towpath.Instance) bool { return isStarted(i) && s.isTakenOver(i.Slot) })
}

// isTakenOver says that an instance of the goal will be started in a slot.
func (s situation) isTakenOver(slot string) bool {
	return slot != "" && slices.ContainsFunc(s.chosen, func(c towpath.Instance) bool { return c.Slot == slot && !isStarted(c) })
}

// makeRoom takes the traffic from what is in the way of the goal's instances, and waits until nothing is in flight there.
func makeRoom(s situation) []Step {
	displaced := s.displaced()
	if len(filter(displaced, s.isHidden)) > 0 {
		return sight(s)
	}
	table := s.table()
	for _, i := range displaced {
		s.withdraw(table, i)
	}
	s.spare(table)
	if !s.isTable(table) {
		return one(Shift{Weights: table}, "what makes room gets no new requests")
	}
	for _, steps := range [][]Step{s.drainOf(displaced), s.endStreamsOf(displaced), s.forget(displaced)} {
		if len(steps) > 0 {
			return steps
		}
	}
	if len(filter(displaced, func(i towpath.Instance) bool { return !s.hasNoShare(i) })) > 0 {
		return one(Await{Why: "too few would serve"}, "what serves in the way of release %d is needed", s.Environment.Goal.Number)
	}
	return nil
}

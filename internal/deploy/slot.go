package deploy

import (
	"cmp"
	"slices"
	"strings"

	"github.com/towpath-cd/towpath"
)

// host is a machine of a target whose slots are fixed. It runs one instance of the goal.
type host struct {
	name    string
	slots   []string
	problem string // why nothing can be done on it; empty where it answers
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
			if seen.Host == hosts[n].name {
				hosts[n].problem = cmp.Or(hosts[n].problem, seen.Problem)
			}
		}
	}
	return hosts
}

// chooseOnHosts takes the best instance of the goal on each host. What goes back, or keeps up what is live, does not wait
// for a host that does not answer: of such a one only what is ready counts.
func (s *situation) chooseOnHosts(candidates []towpath.Instance) {
	s.wanted = 0
	for _, h := range s.hosts {
		isLeftOut := h.problem != "" && s.leavesOut()
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

// leavesOut says that the goal was proved before, so that a host that does not answer does not hold it up.
func (s situation) leavesOut() bool {
	d := s.Environment.Deployment
	return s.isProven() || d != nil && d.Cause == towpath.CauseRollback
}

// missing names the hosts that are left out.
func (s situation) missing() []string {
	var names []string
	for _, h := range s.hosts {
		if h.problem != "" && s.leavesOut() && !s.isFilled(h) {
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
		return strings.Join(names, ", ") + " cannot be reached, and is left out until then"
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

// reachable waits while no host answers: there is nowhere to bring up what is live.
func reachable(s situation) []Step {
	if len(s.hosts) == 0 || s.wanted > 0 {
		return nil
	}
	return one(Await{Why: "no host answers"}, "nothing can be done on any of them")
}

// spare gives back their shares to healthy instances without which fewer would serve than have to, and than do now:
// first to those on hosts that cannot be reached, where nothing else can be done.
func (s situation) spare(table map[string]int) {
	before := s.table()
	floor := min(s.minimum, s.serving(before))
	for _, outOfReach := range []bool{true, false} {
		for _, i := range s.others {
			if s.serving(table) >= floor {
				return
			}
			if isReady(i) && before[i.ID] > 0 && table[i.ID] == 0 && s.isOutOfReach(i) == outOfReach {
				table[i.ID] = before[i.ID]
			}
		}
	}
}

package deploy

import (
	"slices"
	"strings"
	"time"

	"github.com/towpath-cd/towpath"
)

// What hosts that do not answer cost stands here. One that has not answered for a moment says little; what serves there goes on
// serving. One that is away for longer is left out where the others are enough: it is owed what is live, and gets it when it
// answers again, before it gets any traffic.

// reachable waits for hosts that do not answer, as long as they are needed.
func reachable(s situation) []Step {
	switch {
	case len(s.hosts) == 0:
		return nil
	case s.wanted == 0:
		return one(Await{Why: "no host answers"}, "nothing can be done on any of them")
	case s.leavesOut():
		return nil
	}
	return s.awaitHosts()
}

// awaitHosts waits for the hosts on which a new release is to run, as long as an instance may take to come up. If one is away for
// longer and the others are not enough, the release is given up.
func (s situation) awaitHosts() []Step {
	var names []string
	var until time.Time
	for _, h := range s.hosts {
		if h.problem != "" && !s.isLeftOut(h) && !s.servesOn(h) {
			names, until = append(names, h.name), later(until, s.longAway(h))
		}
	}
	if len(names) == 0 {
		return nil
	}
	if steps := s.first([]rule{shed, stand}); len(steps) > 0 {
		return steps
	}
	why := strings.Join(names, ", ") + " cannot be reached"
	if s.Now.Before(until) {
		return one(Await{Until: until, Why: why}, "release %d is to run there", s.Environment.Goal.Number)
	}
	why += " (" + s.problemOf(names[0]) + ")"
	if s.areEnough() {
		why += ", and that does not end by itself"
	} else {
		why += ", and the others are not enough: " + count(s.minimum, "healthy instance") + " must take traffic"
	}
	seen := filter(s.chosen, func(i towpath.Instance) bool { return isStarted(i) && !s.isOutOfReach(i) })
	return one(Condemn{Instances: ids(seen), Reason: why, Awaited: true}, "it cannot run everywhere")
}

// problemOf tells why a host cannot be reached.
func (s situation) problemOf(name string) string {
	at := slices.IndexFunc(s.hosts, func(h host) bool { return h.name == name })
	return s.hosts[at].problem
}

// longAway is when a host that does not answer has been away for so long that it is not waited for.
func (s situation) longAway(h host) time.Time {
	if h.since.IsZero() {
		return s.Now
	}
	return h.since.Add(s.Environment.Definition.Health.Within)
}

// isLongAway says that a host has not answered for as long as an instance may take to come up.
func (s situation) isLongAway(h host) bool { return h.problem != "" && !s.Now.Before(s.longAway(h)) }

// isLeftOut says that a host does not answer, and does not hold up the goal. What is new does not leave out one that a person has to
// set right.
func (s situation) isLeftOut(h host) bool {
	return h.problem != "" && (s.leavesOut() || !h.since.IsZero() && s.isLongAway(h) && s.areEnough())
}

// leavesOut says that the goal was proved before, so that no host that does not answer holds it up.
func (s situation) leavesOut() bool {
	d := s.Environment.Deployment
	return s.isProven() || d != nil && d.Cause == towpath.CauseRollback
}

// areEnough says that a new release can come to all hosts that answer without fewer serving than have to, and that it is enough there:
// where new and old cannot stand beside each other, one of them is without traffic at a time.
func (s situation) areEnough() bool {
	answering, following := 0, 0
	for _, h := range s.hosts {
		if h.problem != "" {
			continue
		}
		answering++
		if !s.servesOn(h) {
			following = 1
		}
	}
	isBeside := s.hasSpareSlots() && (s.Environment.Definition.Strategy.Kind != towpath.StrategyRolling || s.surge() > 0)
	if isBeside {
		following = 0
	}
	return answering > 0 && answering-following >= s.minimum
}

// servesOn says that an instance of the goal serves on a host.
func (s situation) servesOn(h host) bool {
	return slices.ContainsFunc(s.Observed.Instances, func(i towpath.Instance) bool {
		return s.isOfGoal(i) && slices.Contains(h.slots, i.Slot) && s.isServing(i)
	})
}

// isDoubtful says that nobody knows whether requests to an instance are answered: it is not relied on, and not given up.
func isDoubtful(i towpath.Instance) bool { return isStarted(i) && !isReady(i) && !isFailing(i) }

// isLost says that nobody vouches for an instance any more: neither its host nor its probe has answered for as long as it may take
// to come up, and its balancer does not look for itself. While less than half of what is wanted is healthy, it is more likely that
// its keeper is cut off.
func (s situation) isLost(i towpath.Instance) bool {
	isOver := !s.Now.Before(i.Since.Add(s.Environment.Definition.Health.Within))
	return i.Silent && isOver && isDoubtful(i) && i.Traffic.Checked == "" && 2*s.answering() >= len(s.hosts)
}

// isTrusted says that an instance of the goal keeps the share that it has, though its host does not answer: nothing shows that it
// does not serve. Where the goal is live, so does one that the balancer knows by its address alone: it was given its share by us.
func (s situation) isTrusted(i towpath.Instance) bool {
	isLive := isNameless(i) && s.isProven() && !isFailing(i)
	isKnown := s.isOfGoal(i) && isDoubtful(i)
	return s.isBalanced() && s.isOutOfReach(i) && s.traffic(i).Weight > 0 && (isKnown || isLive) && !s.isLost(i)
}

// isNameless says that nobody knows of which release it is what serves on a host that does not answer.
func isNameless(i towpath.Instance) bool { return i.Release == 0 && i.State == towpath.InstanceUnknown }

// shed takes the traffic from what is known not to answer, as long as half of what is wanted is healthy: a probe that fails
// everywhere says more about the probe.
func shed(s situation) []Step {
	if !s.isBalanced() || s.isBlind() {
		return nil
	}
	table := s.table()
	s.shedFrom(table)
	if s.isTable(table) {
		return nil
	}
	return one(Shift{Weights: table}, "only what is healthy shall take traffic")
}

func (s situation) shedFrom(table map[string]int) {
	healthy := s.serving(table)
	for _, i := range s.Observed.Instances {
		if (isFailing(i) || s.isLost(i)) && healthy > 0 && 2*healthy >= s.wanted {
			s.withdraw(table, i)
		}
	}
}

// spare gives back their shares to instances without which fewer would serve than have to, and than do now: first to healthy ones
// on hosts that cannot be reached, where nothing else can be done, and last to those of which nobody knows.
func (s situation) spare(table map[string]int) {
	before := s.table()
	for _, isNext := range []func(towpath.Instance) bool{
		func(i towpath.Instance) bool { return isReady(i) && s.isOutOfReach(i) }, isReady, s.mayServe,
	} {
		for _, i := range s.others {
			if s.serving(table) >= s.floor(before, table) {
				return
			}
			if before[i.ID] > 0 && table[i.ID] == 0 && isNext(i) {
				table[i.ID] = before[i.ID]
			}
		}
	}
}

// floor is how many healthy instances have to serve after a change of the table: the minimum, or fewer where fewer do. Of those that
// lose their share, who may serve counts as if it did.
func (s situation) floor(before, after map[string]int) int {
	losing := filter(s.Observed.Instances, func(i towpath.Instance) bool {
		return s.mayServe(i) && before[i.ID] > 0 && after[i.ID] == 0
	})
	return min(s.minimum, s.serving(before)+len(losing))
}

// mayServe says that nobody knows whether an instance answers, and it is not given up.
func (s situation) mayServe(i towpath.Instance) bool { return isDoubtful(i) && !s.isLost(i) }

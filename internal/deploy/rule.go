package deploy

import (
	"maps"
	"slices"
	"time"

	"github.com/towpath-cd/towpath"
)

// place adds the instances of the goal that are missing. Broken ones that take no traffic count, so that a release that
// never comes up does not fill the machine: they have to go first.
func place(s situation) []Step {
	slots := s.lacking()
	if len(slots) == 0 {
		return nil
	}
	most := 2*s.wanted - len(s.chosen) - len(filter(s.others, s.isWornOut))
	slots = slots[:max(0, min(len(slots), most))]
	if len(slots) == 0 {
		return s.first([]rule{dropWornOut, settle, worn})
	}
	release := s.Environment.Goal.Number
	order := Place{Release: release, Instances: s.names(len(slots))}
	if len(s.hosts) > 0 {
		order.Slots = make(map[string]string, len(slots))
		for n, id := range order.Instances {
			order.Slots[id] = slots[n]
		}
	}
	reason := "%d of %d wanted instances of release %d are there"
	return append(
		one(Check{Release: release, Instances: len(slots), Slots: slices.Sorted(maps.Values(order.Slots))}, reason, len(s.chosen), s.wanted, release),
		one(order, reason, len(s.chosen), s.wanted, release)...)
}

// lacking answers where instances of the goal are missing: a slot for each, whose name is empty where slots are made.
func (s situation) lacking() []string {
	if len(s.hosts) == 0 {
		return make([]string, max(0, s.wanted-len(s.chosen)))
	}
	var slots []string
	for _, h := range s.hosts {
		if s.isFilled(h) || s.isLeftOut(h) {
			continue
		}
		slot, _ := s.vacant(h)
		slots = append(slots, slot)
	}
	return slots
}

// isWornOut says that an instance of the goal takes up room, and will not serve.
func (s situation) isWornOut(i towpath.Instance) bool {
	return s.isOfGoal(i) && s.traffic(i).Weight == 0 && !s.isOutOfReach(i)
}

// names makes IDs for so many new instances of the goal.
func (s situation) names(count int) []string {
	last := max(s.Environment.LastInstance, s.Observed.LastInstance())
	names := make([]string, 0, count)
	for n := range count {
		names = append(names, towpath.InstanceID(s.Environment.Goal.Number, last+n+1))
	}
	return names
}

// start lets the goal's instances run.
func start(s situation) []Step {
	still := filter(s.chosen, func(i towpath.Instance) bool { return !isStarted(i) })
	if len(still) == 0 {
		return nil
	}
	return one(Start{Instances: ids(still)}, "release %d is the goal", s.Environment.Goal.Number)
}

// probe waits for the goal's instances to be proved healthy.
func probe(s situation) []Step {
	unproved := filter(s.chosen, func(i towpath.Instance) bool { return !isReady(i) })
	if len(unproved) == 0 {
		return nil
	}
	return one(Probe{Instances: ids(unproved), Within: s.Environment.Definition.Health.Within},
		"only what passed its probe gets traffic")
}

// sight waits until the balancer can be read: no traffic is moved blindly.
func sight(s situation) []Step {
	if !s.isBlind() {
		return nil
	}
	return one(Await{Why: "the balancer cannot be read"}, "no traffic is moved blindly")
}

// sightOfOthers waits like sight, where only what is to be stopped matters.
func sightOfOthers(s situation) []Step {
	if len(filter(s.others, s.isHidden)) == 0 {
		return nil
	}
	return sight(s)
}

// shift gives all traffic to the goal's instances, once all of them are healthy.
func shift(s situation) []Step {
	if !s.isBalanced() || len(s.chosen) < s.wanted {
		return nil
	}
	table := s.table()
	for _, i := range s.others {
		if !s.isHeld(i) && !s.isTrusted(i) {
			s.withdraw(table, i)
		}
	}
	given := filter(s.chosen, func(i towpath.Instance) bool { return !s.isHeld(i) })
	spared := maps.Clone(table)
	s.spare(spared)
	isRight := isEven(table, given) && s.isTable(spared)
	if isRight && !s.Observed.Misrouted {
		return nil
	}
	for _, i := range given {
		table[i.ID] = FullWeight
	}
	s.spare(table)
	if isRight {
		return one(Shift{Weights: table}, "the balancer does not take requests where the definition says")
	}
	return one(Shift{Weights: table}, "%d of %d instances of release %d are healthy", len(s.chosen), s.wanted, s.Environment.Goal.Number)
}

// drain waits for the requests that are in flight where no new ones come.
func drain(s situation) []Step { return s.drainOf(s.others) }

func (s situation) drainOf(instances []towpath.Instance) []Step {
	busy := filter(instances, func(i towpath.Instance) bool {
		return s.hasNoShare(i) && !s.isDrained(i)
	})
	if len(busy) == 0 {
		return nil
	}
	return one(Drain{Instances: ids(busy), Within: s.longest(busy, s.Environment.Definition.Drain.Requests)},
		"what is in flight is answered")
}

// endStreams lets the streams of the old side end, and closes them when their time is over, also where it stands by.
func endStreams(s situation) []Step { return s.endStreamsOf(s.others) }

func (s situation) endStreamsOf(instances []towpath.Instance) []Step {
	open := filter(instances, func(i towpath.Instance) bool {
		return s.hasNoShare(i) && s.traffic(i).Streams > 0
	})
	if len(open) == 0 {
		return nil
	}
	return one(EndStreams{Instances: ids(open), Within: s.longest(open, s.Environment.Definition.Drain.Streams)},
		"streams move to what serves now")
}

// drop takes away what nothing needs any more and nothing is in flight at: out of the balancer, stopped, removed.
func drop(s situation) []Step { return s.takeAway(s.leaving()) }

// dropWornOut takes away instances of the goal that will not serve, so that others have room. Without a balancer, one of
// which nothing is known may serve.
func dropWornOut(s situation) []Step {
	return s.takeAway(filter(s.leaving(), func(i towpath.Instance) bool {
		return s.isWornOut(i) && (s.isBalanced() || !isStarted(i) || isFailing(i))
	}))
}

func worn(s situation) []Step {
	return one(Await{Why: "broken instances cannot be taken away"}, "they are in the way of release %d", s.Environment.Goal.Number)
}

func (s situation) takeAway(instances []towpath.Instance) []Step {
	settled := filter(instances, s.isSettled)
	if steps := s.forget(settled); len(steps) > 0 {
		return steps
	}
	if steps := s.stop(settled); len(steps) > 0 {
		return steps
	}
	there := filter(settled, func(i towpath.Instance) bool {
		return i.State != towpath.InstanceGone && !s.isOutOfReach(i) && i.InUse == ""
	})
	if len(there) == 0 {
		return nil
	}
	if steps := s.singlesOf(there); len(steps) > 0 {
		return steps
	}
	return one(Remove{Instances: ids(there)}, "nothing needs them any more")
}

func (s situation) forget(instances []towpath.Instance) []Step {
	members := filter(instances, func(i towpath.Instance) bool {
		t := s.traffic(i)
		return t.Known && t.Member && s.isSettled(i)
	})
	if len(members) == 0 {
		return nil
	}
	return one(Forget{Instances: ids(members)}, "they will not take traffic again")
}

func (s situation) stop(instances []towpath.Instance) []Step {
	running := filter(instances, func(i towpath.Instance) bool {
		return isStarted(i) && s.isSettled(i) && !s.isOutOfReach(i) && !s.isTakenOver(i.Slot)
	})
	if len(running) == 0 {
		return nil
	}
	return one(Stop{Instances: ids(running)}, "they take no traffic, and nothing is in flight")
}

// standBy keeps the old side ready for as long as the strategy says.
func standBy(s situation) []Step {
	ready := filter(s.others, s.isStandby)
	if len(ready) == 0 {
		return nil
	}
	return one(StandBy{Instances: ids(ready), Until: s.Environment.StandbyUntil}, "going back to them is one shift")
}

// settle waits for what leaves but cannot yet.
func settle(s situation) []Step {
	var until time.Time
	unsettled := filter(s.leaving(), func(i towpath.Instance) bool { return !s.isSettled(i) })
	if len(unsettled) == 0 {
		return nil
	}
	if steps := stay(s); len(steps) > 0 {
		return steps
	}
	clocks := s.Environment.Definition.Drain
	for _, i := range unsettled {
		if since, recorded := s.Environment.Idle[i.ID]; recorded {
			until = later(until, since.Add(max(clocks.Requests, clocks.Streams)))
		}
	}
	return one(Await{Until: until, Why: "something may be in flight"}, "nothing is stopped while something may be in flight")
}

// isBlind says that something may take traffic without our knowing.
func (s situation) isBlind() bool {
	return s.isBalanced() && s.Observed.Blind || len(filter(s.Observed.Instances, s.isHidden)) > 0
}

// isHidden says that an instance may take traffic without our knowing.
func (s situation) isHidden(i towpath.Instance) bool {
	return !s.traffic(i).Known && (s.isChosen(i) || !s.isSettled(i))
}

// table is the weight of each member of the balancer.
func (s situation) table() map[string]int {
	table := make(map[string]int)
	for _, i := range s.Observed.Instances {
		if t := s.traffic(i); t.Known && t.Member {
			table[i.ID] = t.Weight
		}
	}
	return table
}

// isTable says that the balancer has these weights already.
func (s situation) isTable(table map[string]int) bool {
	for _, i := range s.Observed.Instances {
		if s.traffic(i).Weight != table[i.ID] {
			return false
		}
	}
	return true
}

// isEven says that instances are ready, and have the same share in the table.
func isEven(table map[string]int, instances []towpath.Instance) bool {
	return !slices.ContainsFunc(instances, func(i towpath.Instance) bool {
		return !isReady(i) || table[i.ID] == 0 || table[i.ID] != table[instances[0].ID]
	})
}

// withdraw takes an instance's share, if it is a member.
func (s situation) withdraw(table map[string]int, i towpath.Instance) {
	if _, member := table[i.ID]; member {
		table[i.ID] = 0
	}
}

// serving counts the healthy instances that have a share in the table.
func (s situation) serving(table map[string]int) int {
	return len(filter(s.Observed.Instances, func(i towpath.Instance) bool { return isReady(i) && table[i.ID] > 0 }))
}

func (s situation) hasNoShare(i towpath.Instance) bool {
	t := s.traffic(i)
	return t.Known && t.Weight == 0
}

// longest answers what is left of the clock for the instance that has most of it.
func (s situation) longest(instances []towpath.Instance, clock time.Duration) time.Duration {
	var left time.Duration
	for _, i := range instances {
		left = max(left, s.remaining(i, clock))
	}
	return left
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

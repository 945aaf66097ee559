package deploy

import (
	"cmp"
	"slices"

	"github.com/towpath-cd/towpath"
)

// rolling replaces one batch of instances after the other. Where more than are wanted may run, the new ones of a batch
// come first; else the old ones end, and the new ones start in their place. Nothing but what is there says how far it
// is: the next batch begins once the one before serves.
func rolling() strategy {
	return strategy{
		reach: []rule{
			repair, reachable, place, startTurn, probeStarted, sight, beginWatch, stand, exchange,
			drain, endStreams, forgetLeft, stopLeft, stuck, singles, watch,
		},
		tidy: []rule{dropLeft, remain, settle, awaitSingles},
	}
}

// startTurn lets instances of the goal run where there is room, at most a batch at a time while others serve.
func startTurn(s situation) []Step {
	turn := s.turn()
	if len(turn) == 0 {
		return nil
	}
	return one(Start{Instances: ids(turn)}, "release %d is the goal", s.Environment.Goal.Number)
}

// turn answers the goal's instances that may start now: where what ran in their slot has left, or where more may run.
func (s situation) turn() []towpath.Instance {
	limit := s.wanted
	if len(filter(s.others, s.takesTraffic)) > 0 {
		limit = s.batch() - len(filter(s.chosen, s.isPending))
	}
	room, yielding := s.room(), s.yielding(s.table())
	var turn []towpath.Instance
	for _, i := range s.chosen {
		switch predecessors := s.beside(i); {
		case isStarted(i) || len(turn) >= limit:
		case len(inSlot(predecessors, i.Slot)) > 0:
			if s.haveLeft(inSlot(predecessors, i.Slot), yielding) {
				turn = append(turn, i)
			}
		case len(predecessors) == 0 && len(s.hosts) > 0:
			turn = append(turn, i)
		case room > 0:
			room--
			turn = append(turn, i)
		}
	}
	return turn
}

// beside are the instances that run on the host of one, in whatever slot of it.
func (s situation) beside(i towpath.Instance) []towpath.Instance {
	h := s.hostOf(i)
	if h == nil {
		return nil
	}
	return filter(s.others, func(o towpath.Instance) bool { return isStarted(o) && slices.Contains(h.slots, o.Slot) })
}

func inSlot(instances []towpath.Instance, slot string) []towpath.Instance {
	return filter(instances, func(i towpath.Instance) bool { return i.Slot == slot })
}

// haveLeft says that instances can be ended by what starts in their place: nothing comes to them any more. Without a
// balancer, it is their turn.
func (s situation) haveLeft(instances, yielding []towpath.Instance) bool {
	return !slices.ContainsFunc(instances, func(i towpath.Instance) bool {
		if !s.isBalanced() {
			return !slices.ContainsFunc(yielding, func(y towpath.Instance) bool { return y.ID == i.ID })
		}
		return !s.isSettled(i) || s.traffic(i).Member
	})
}

// room answers how many more may run than do: beyond what is wanted, or beyond one a host.
func (s situation) room() int {
	running := filter(s.Observed.Instances, isStarted)
	if len(s.hosts) == 0 {
		return s.wanted + s.surge() - len(running)
	}
	room := s.surge()
	for _, h := range s.hosts {
		here := filter(running, func(i towpath.Instance) bool { return slices.Contains(h.slots, i.Slot) })
		room -= max(0, len(here)-1)
	}
	return room
}

func (s situation) batch() int { return max(1, s.Environment.Definition.Strategy.Batch) }

// surge is how many more than are wanted may run: none where a host has but one slot.
func (s situation) surge() int {
	if !s.hasSpareSlots() {
		return 0
	}
	return s.Environment.Definition.Strategy.Surge
}

// isPending says that an instance of the goal was started, and has yet to serve.
func (s situation) isPending(i towpath.Instance) bool {
	return isStarted(i) && !s.isServing(i) && !s.isHeld(i)
}

// probeStarted waits for those that were started to be proved healthy.
func probeStarted(s situation) []Step {
	unproved := filter(s.chosen, func(i towpath.Instance) bool { return isStarted(i) && !isReady(i) })
	if len(unproved) == 0 {
		return nil
	}
	return one(Probe{Instances: ids(unproved), Within: s.Environment.Definition.Health.Within},
		"only what passed its probe gets traffic")
}

// exchange gives the goal's healthy instances their share, and takes it from as many others as may be without.
func exchange(s situation) []Step {
	if !s.isBalanced() {
		return nil
	}
	table := s.table()
	given := filter(s.chosen, func(i towpath.Instance) bool { return isReady(i) && !s.isHeld(i) })
	if !isEven(table, given) {
		for _, i := range given {
			table[i.ID] = FullWeight
		}
	}
	for _, i := range s.yielding(table) {
		s.withdraw(table, i)
	}
	serving := len(filter(s.chosen, func(i towpath.Instance) bool { return isReady(i) && table[i.ID] > 0 }))
	switch {
	case !s.isTable(table):
		return one(Shift{Weights: table}, "%d of %d instances of release %d are healthy", serving, s.wanted, s.Environment.Goal.Number)
	case s.Observed.Misrouted:
		return one(Shift{Weights: table}, "the balancer does not take requests where the definition says")
	}
	return nil
}

// yielding answers which others may go without traffic now: the batch at most, and never so many that fewer healthy ones
// serve than have to, for all that is known. Those that do not answer cost nothing and go first, then those whose
// successor serves on their host, those whose host is away last.
func (s situation) yielding(table map[string]int) []towpath.Instance {
	takes := func(i towpath.Instance) bool { return table[i.ID] > 0 || !s.isBalanced() && isStarted(i) }
	taking := filter(s.Observed.Instances, func(i towpath.Instance) bool { return takes(i) && !s.isUseless(i) })
	allowed := len(taking) - max(0, s.wanted-s.most())
	spare := len(filter(taking, isReady)) - s.minimum
	var yielding []towpath.Instance
	for _, i := range slices.SortedStableFunc(slices.Values(s.staying()), s.byTurn) {
		switch {
		case s.isUseless(i) && len(yielding) < s.batch():
		case s.isUseless(i), allowed <= 0, isReady(i) && spare <= 0, spare < 0:
			continue
		case isReady(i):
			allowed, spare = allowed-1, spare-1
		default:
			allowed--
		}
		yielding = append(yielding, i)
	}
	return yielding
}

// isUseless says that nothing is lost where an instance goes: it does not answer, or nobody could tell for as long as it may
// take to come up.
func (s situation) isUseless(i towpath.Instance) bool {
	isSilent := i.State == towpath.InstanceRunning && i.Health == towpath.HealthUnknown
	return isFailing(i) && !isForeign(i) || s.isLost(i) || isSilent && !s.Now.Before(i.Since.Add(s.Environment.Definition.Health.Within))
}

// most is how many of those that are wanted may be without traffic at once: what a batch has beyond those that run beside
// the others meanwhile.
func (s situation) most() int {
	if surge := s.surge(); surge > 0 {
		return max(0, s.batch()-surge)
	}
	return s.batch()
}

// byTurn orders instances by who goes first.
func (s situation) byTurn(a, b towpath.Instance) int { return cmp.Compare(s.turnOf(a), s.turnOf(b)) }

func (s situation) turnOf(i towpath.Instance) int {
	const last, afterTheFirst = 1 << 30, 2
	h := s.hostOf(i)
	switch {
	case isForeign(i):
		return last // nobody knows whether it answers
	case s.isUseless(i):
		return 0
	case h != nil && h.problem != "":
		return last // nothing takes its place
	case !isReady(i):
		return 0
	case h == nil:
		return 1
	}
	for n, c := range s.chosen {
		if slices.Contains(h.slots, c.Slot) && s.isServing(c) {
			return 1
		} else if slices.Contains(h.slots, c.Slot) {
			return afterTheFirst + n
		}
	}
	return 1
}

// staying are the others that take traffic still, and can be told.
func (s situation) staying() []towpath.Instance {
	return filter(s.others, func(i towpath.Instance) bool {
		return s.takesTraffic(i) && !s.isHeld(i) && !s.isTrusted(i) && (s.isBalanced() || !s.isOutOfReach(i))
	})
}

// left are the others that no traffic comes to any more. Without a balancer, it is those whose turn it is.
func (s situation) left() []towpath.Instance {
	if !s.isBalanced() {
		return s.yielding(nil)
	}
	return filter(s.others, func(i towpath.Instance) bool { return s.hasNoShare(i) && !s.isHeld(i) })
}

// forgetLeft and stopLeft end what makes room; where its slot is taken over, that start ends it.
func forgetLeft(s situation) []Step { return s.forget(s.left()) }

func stopLeft(s situation) []Step { return s.stop(s.left()) }

// dropLeft takes away what nothing needs any more. Where no balancer could take its traffic before, what runs goes in its turn,
// as while others follow it: beside a host that is left out it may be needed.
func dropLeft(s situation) []Step { return s.takeAway(filter(s.leaving(), s.isOver)) }

func (s situation) isOver(i towpath.Instance) bool {
	if s.isBalanced() || !isStarted(i) {
		return true
	}
	return slices.ContainsFunc(s.yielding(nil), func(y towpath.Instance) bool { return y.ID == i.ID })
}

// remain says why something runs that is not wanted.
func remain(s situation) []Step {
	if len(filter(s.leaving(), func(i towpath.Instance) bool { return !s.isOver(i) && !s.isOutOfReach(i) })) == 0 {
		return nil
	}
	return stay(s)
}

// stuck waits where nothing can be replaced without too few serving. Where a host is left out, that is no reason to
// hold up what goes back: the others follow when it answers again.
func stuck(s situation) []Step {
	within := filter(s.staying(), func(i towpath.Instance) bool { return !s.isOutOfReach(i) })
	if len(within) == 0 || s.leavesOut() && len(s.missing()) > 0 {
		return nil
	}
	return stay(s)
}

// stay waits for what would let the others be replaced.
func stay(s situation) []Step {
	if len(s.staying()) == 0 {
		return nil
	}
	why := s.missingInWords()
	if why == "" {
		why = "too few would serve"
	}
	return one(Await{Why: why}, "%s must take traffic", count(s.minimum, "healthy instance"))
}

// stand gives the goal up as soon as it does not stand the traffic that it has.
func stand(s situation) []Step {
	if !s.isWatched() || s.Environment.Deployment.WatchedAt.IsZero() {
		return nil
	}
	if v := s.verdict(); v.State == VerdictFail {
		return one(Condemn{Instances: ids(s.chosen), Reason: v.Text}, "the old side takes the traffic back")
	}
	return nil
}

package deploy

import (
	"cmp"
	"slices"
	"time"

	"github.com/towpath-cd/towpath"
)

// situation is the facts with the questions that rules ask of them.
type situation struct {
	Facts
	hosts   []host             // of a target whose slots are fixed; none where it makes them
	wanted  int                // instances of the goal
	minimum int                // healthy instances that have to take traffic
	chosen  []towpath.Instance // of the goal, the best first, none broken, at most as many as wanted
	others  []towpath.Instance // all that are not chosen
}

func newSituation(f Facts) situation {
	s := situation{Facts: f, wanted: max(1, f.Environment.Definition.Instances)}
	if s.hosts = hostsOf(f); len(s.hosts) > 0 {
		s.wanted = len(s.hosts)
	}
	s.minimum = min(s.wanted, f.Environment.Definition.Minimum)
	all := slices.SortedFunc(slices.Values(f.Observed.Instances), byAge)
	candidates := filter(slices.SortedStableFunc(slices.Values(all), s.byMerit), func(i towpath.Instance) bool {
		return s.isOfGoal(i) && !s.isBroken(i)
	})
	if len(s.hosts) > 0 {
		s.chooseOnHosts(candidates)
	} else {
		s.chosen = candidates[:min(s.wanted, len(candidates))]
	}
	s.others = slices.DeleteFunc(all, s.isChosen)
	return s
}

// byAge orders instances from the oldest to the newest.
func byAge(a, b towpath.Instance) int {
	_, serialA := towpath.ParseInstanceID(a.ID)
	_, serialB := towpath.ParseInstanceID(b.ID)
	return cmp.Or(cmp.Compare(serialA, serialB), cmp.Compare(a.ID, b.ID))
}

// byMerit orders instances so that those that serve come first, then those that could, then those that may soon.
func (s situation) byMerit(a, b towpath.Instance) int { return cmp.Compare(s.demerit(a), s.demerit(b)) }

func (s situation) demerit(i towpath.Instance) int {
	switch t := s.traffic(i); {
	case isReady(i) && t.Known && t.Weight > 0:
		return 0
	case isReady(i):
		return 1
	case t.Known && t.Weight > 0:
		return 2
	case isStarted(i):
		return 3
	default:
		return 4
	}
}

func (s situation) isBalanced() bool {
	return s.Environment.Definition.Balancer != (towpath.BalancerDefinition{})
}

// traffic answers what is known of an instance's traffic. Without a balancer nobody gives it any.
func (s situation) traffic(i towpath.Instance) towpath.Traffic {
	if !s.isBalanced() {
		return towpath.Traffic{Known: true}
	}
	return i.Traffic
}

func (s situation) isOfGoal(i towpath.Instance) bool {
	return s.Environment.Goal.Number > 0 && i.Release == s.Environment.Goal.Number
}

func (s situation) isChosen(i towpath.Instance) bool {
	return slices.ContainsFunc(s.chosen, func(c towpath.Instance) bool { return c.ID == i.ID })
}

// isProven says that the goal is what was live before: nothing has to be tested or promoted to keep it serving.
func (s situation) isProven() bool { return s.Environment.Goal.Number == s.Environment.Live.Number }

// isGated says that the deployment's release has to pass the strategy's test and promotion. What goes back does not: it
// was proved before.
func (s situation) isGated() bool {
	d := s.Environment.Deployment
	return d != nil && d.State == towpath.DeploymentRunning && !s.isProven() &&
		d.Cause != towpath.CauseRollback && d.Cause != towpath.CauseRemoval
}

// isReady says that an instance may be given traffic: its probe passed, and nothing contradicts it.
func isReady(i towpath.Instance) bool {
	return i.Health == towpath.HealthPassing && (i.State == towpath.InstanceRunning || i.State == towpath.InstanceUnknown)
}

// isForeign says that whoever has a share was never placed by us: what was there before the first deployment. It is nobody's
// to stop, and serves until enough of ours do.
func isForeign(i towpath.Instance) bool { return i.Release == 0 }

// isStarted says that an instance may be running, for all that is known.
func isStarted(i towpath.Instance) bool {
	switch i.State {
	case towpath.InstancePlaced, towpath.InstanceStopped, towpath.InstanceGone:
		return false
	default:
		return true
	}
}

// isFailing says that requests to an instance would fail; where that is unknown, it is not.
func isFailing(i towpath.Instance) bool {
	return !isReady(i) && (i.Health == towpath.HealthFailing || i.State != towpath.InstanceRunning && i.State != towpath.InstanceUnknown)
}

// isBroken says that an instance will not serve again by itself: another has to take its place.
func (s situation) isBroken(i towpath.Instance) bool {
	switch {
	case i.State == towpath.InstanceGone:
		return true
	case !isStarted(i), isReady(i):
		return false
	case i.State == towpath.InstanceRunning && i.Health == towpath.HealthUnknown:
		return false
	}
	return !s.Now.Before(i.Since.Add(s.Environment.Definition.Health.Within))
}

// isRemoving says that nothing is to be left, also not to go back to.
func (s situation) isRemoving() bool {
	return isRemoval(s.Environment) && s.Environment.Goal.Number == 0
}

// isKept says that an instance that is not wanted now has to stay: to go back to while another release is the goal, or
// on standby.
func (s situation) isKept(i towpath.Instance) bool {
	if s.isRemoving() {
		return false
	}
	live := s.Environment.Live.Number
	if live > 0 && i.Release == live && !s.isProven() {
		return i.State != towpath.InstanceGone
	}
	return s.isStandby(i)
}

// isStandby says that an instance can take the traffic back in one shift, and shall stay able to.
func (s situation) isStandby(i towpath.Instance) bool {
	return s.Now.Before(s.Environment.StandbyUntil) && s.isStandbyRelease(i.Release) &&
		isStarted(i) && !s.isBroken(i)
}

// isStandbyRelease says that a release is the good one before the live one, or what a person went back from.
func (s situation) isStandbyRelease(number int) bool {
	e := s.Environment
	if number == 0 || number == e.Goal.Number {
		return false
	}
	if e.Pin != nil && e.Pin.From.Number == number {
		return !slices.Contains(e.Failed, e.Pin.From)
	}
	return e.Previous().Number == number
}

// isSettled says that nothing is lost any more when an instance stops: it gets no new traffic, and what was in flight is
// over, or its time is. What is unknown counts as in flight.
func (s situation) isSettled(i towpath.Instance) bool {
	clocks := s.Environment.Definition.Drain
	t := s.traffic(i)
	if !t.Known {
		return s.remaining(i, max(clocks.Requests, clocks.Streams)) == 0
	}
	return t.Weight == 0 && s.isDrained(i) &&
		(t.Streams == 0 || s.remaining(i, clocks.Streams) == 0)
}

// isDrained says that no request is in flight at an instance, or that their time is over. What is not counted may be.
func (s situation) isDrained(i towpath.Instance) bool {
	t := s.traffic(i)
	return t.Requests == 0 && !t.Uncounted || s.remaining(i, s.Environment.Definition.Drain.Requests) == 0
}

// remaining answers what is left of a clock that began when the instance got no new traffic any more; all of it where
// that was not recorded yet, so that it is never over then.
func (s situation) remaining(i towpath.Instance, clock time.Duration) time.Duration {
	since, recorded := s.Environment.Idle[i.ID]
	if !recorded {
		return max(clock, time.Nanosecond)
	}
	return max(0, since.Add(clock).Sub(s.Now))
}

// leaving are the instances that nothing needs any more. Of what is out of reach, only the balancer can be told.
func (s situation) leaving() []towpath.Instance {
	return filter(s.others, func(i towpath.Instance) bool {
		isLost := s.isOutOfReach(i) && s.traffic(i).Known && !s.traffic(i).Member
		isLeft := isForeign(i) && s.Environment.Goal.Number == 0 && s.traffic(i).Weight > 0
		return !s.isKept(i) && !s.isHeld(i) && !s.isTrusted(i) && !s.hasKeptFiles(i) && !isLost && !isLeft
	})
}

func filter(instances []towpath.Instance, keep func(towpath.Instance) bool) []towpath.Instance {
	return slices.DeleteFunc(slices.Clone(instances), func(i towpath.Instance) bool { return !keep(i) })
}

func ids(instances []towpath.Instance) []string {
	names := make([]string, 0, len(instances))
	for _, i := range instances {
		names = append(names, i.ID)
	}
	return names
}

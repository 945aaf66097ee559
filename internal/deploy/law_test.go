package deploy_test

import (
	"errors"
	"fmt"
	"slices"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/deploy"
)

// law is something that an operation must not do to the world. Before it is judged by the world as it is when the
// operation begins; a law of what comes of it answers a second judge.
type law func(w *world, o deploy.Operation, seen towpath.Observation) (after func() error, err error)

func nothingMore() error { return nil }

// capacityIsKept is the first property: the healthy instances that take traffic never fall below the minimum, if they
// were not below it before.
func capacityIsKept(w *world, o deploy.Operation, _ towpath.Observation) (func() error, error) {
	floor := min(w.definition().Minimum, w.definition().Instances, w.capacity()-w.lost())
	if w.environment.Goal.Number == 0 || w.isAllAtOnce() {
		floor = 0
	}
	if _, starts := o.(deploy.Probe); starts && !w.isBalanced() {
		floor = 0 // what was said to pass may not, and nothing is ended by it
	}
	return func() error {
		if now := w.capacity(); now < floor {
			return fmt.Errorf("%d healthy instances take traffic, at least %d have to", now, floor)
		}
		return nil
	}, nil
}

// onlyTheProvedGetTraffic is the second: only instances of the goal that passed their probe are given new traffic.
func onlyTheProvedGetTraffic(w *world, o deploy.Operation, _ towpath.Observation) (func() error, error) {
	before := make(map[string]bool, len(w.members))
	for id, m := range w.members {
		before[id] = m.weight > 0
	}
	return func() error {
		for id, m := range w.members {
			p := w.processes[id]
			isGoal := p != nil && p.release == w.environment.Goal.Number
			if m.weight > 0 && !before[id] && (!isGoal || !w.isHealthy(id)) {
				return fmt.Errorf("%s was given traffic by %q", id, o)
			}
		}
		return nil
	}, nil
}

// nothingBusyIsStopped is the third: nothing is stopped, replaced or restarted while it takes traffic or has requests
// in flight (unknown counts as in flight), until the drain time is over.
func nothingBusyIsStopped(w *world, o deploy.Operation, seen towpath.Observation) (func() error, error) {
	for _, id := range ended(w, o) {
		if !w.isBalanced() {
			continue
		}
		if err := w.isBusy(id, seen); err != nil {
			return nil, fmt.Errorf("%q: %w", o, err)
		}
	}
	return nothingMore, nil
}

// ended answers the instances that an operation ends, cuts or overwrites.
func ended(w *world, o deploy.Operation) []string {
	switch o := o.(type) {
	case deploy.Stop:
		return o.Instances
	case deploy.Forget:
		return o.Instances
	case deploy.Remove:
		return o.Instances
	case deploy.Place:
		return w.running(o.Instances)
	case deploy.Start:
		return append(w.running(o.Instances), w.occupants(o.Instances)...)
	default:
		return nil
	}
}

func (w *world) running(ids []string) []string {
	var running []string
	for _, id := range ids {
		if p := w.processes[id]; p != nil && p.state == towpath.InstanceRunning {
			running = append(running, id)
		}
	}
	return running
}

// isBusy answers why something may be lost when an instance ends now.
func (w *world) isBusy(id string, seen towpath.Observation) error {
	clocks := w.definition().Drain
	if isUnknown(seen, id) {
		since, recorded := w.environment.Idle[id]
		if !recorded || w.now.Before(since.Add(max(clocks.Requests, clocks.Streams))) {
			return fmt.Errorf("the traffic of %s is unknown", id)
		}
	}
	m := w.members[id]
	switch {
	case m == nil:
		return nil
	case m.weight > 0:
		return fmt.Errorf("%s takes traffic", id)
	case m.requests > 0 && w.now.Before(m.idleSince.Add(clocks.Requests)):
		return fmt.Errorf("%s has %d requests in flight", id, m.requests)
	case m.streams > 0 && w.now.Before(m.idleSince.Add(clocks.Streams)):
		return fmt.Errorf("%s has %d streams open", id, m.streams)
	}
	return nil
}

func isUnknown(seen towpath.Observation, id string) bool {
	for _, i := range seen.Instances {
		if i.ID == id {
			return !i.Traffic.Known
		}
	}
	return false
}

// sidesAreNotMixed belongs to the third: what cannot run beside itself is not started before the other side has ended.
func sidesAreNotMixed(w *world, o deploy.Operation, _ towpath.Observation) (func() error, error) {
	start, starts := o.(deploy.Start)
	if !starts || !w.isAllAtOnce() {
		return nothingMore, nil
	}
	for id, p := range w.processes {
		isReplaced := slices.Contains(w.occupants(start.Instances), id)
		if p.state == towpath.InstanceRunning && p.release != w.environment.Goal.Number && !isReplaced && !w.isAway(p) {
			return nil, fmt.Errorf("%q while %s runs", o, id)
		}
	}
	return nothingMore, nil
}

// namesAreNew belongs to the fourth: an instance has a name that none had before, or things of two mix.
func namesAreNew(w *world, o deploy.Operation, _ towpath.Observation) (func() error, error) {
	place, is := o.(deploy.Place)
	if !is {
		return nothingMore, nil
	}
	for _, id := range place.Instances {
		if w.ever[id] {
			return nil, fmt.Errorf("%s was placed before", id)
		}
	}
	return nothingMore, nil
}

// onlyTheReachedIsConcluded belongs to the fourth: the goal is said to be reached only when it serves, and nothing else
// is given traffic.
func onlyTheReachedIsConcluded(w *world, o deploy.Operation, seen towpath.Observation) (func() error, error) {
	if _, is := o.(deploy.Conclude); !is {
		return nothingMore, nil
	}
	isNeeded := w.leavesOut() && w.leftOut() > 0 && w.known(seen) <= w.definition().Minimum
	for id, m := range w.members {
		if m.weight > 0 && releaseOf(id) != w.environment.Goal.Number && !isNeeded {
			return nil, fmt.Errorf("%q while %s takes traffic", o, id)
		}
	}
	if serving := w.serving(); serving < w.wanted()-w.leftOut() && !isNeeded {
		return nil, fmt.Errorf("%q with %d of %d instances", o, serving, w.wanted())
	}
	return nothingMore, nil
}

func (w *world) wanted() int {
	if w.environment.Goal.Number == 0 {
		return 0
	}
	return w.definition().Instances
}

// known counts the healthy instances that take traffic and that its keeper knows.
func (w *world) known(seen towpath.Observation) int {
	count := 0
	for _, i := range seen.Instances {
		if w.isHealthy(i.ID) && (!w.isBalanced() || w.members[i.ID] != nil && w.members[i.ID].weight > 0) {
			count++
		}
	}
	return count
}

// leftOut counts the hosts that nobody waits for: what goes back does not wait for any, and what is new not for one that has been
// away for so long as an instance may take to come up.
func (w *world) leftOut() int {
	count := 0
	if !w.hasHosts() {
		return 0
	}
	for _, h := range w.definition().Target.Hosts.Hosts {
		isLongAway := !w.now.Before(w.hosts.since[h.Name].Add(w.definition().Health.Within))
		if w.isHostAway(h.Name) && (w.leavesOut() || isLongAway) {
			count++
		}
	}
	return count
}

// leavesOut says that the goal was live before.
func (w *world) leavesOut() bool {
	e := w.environment
	return e.Goal.Number == e.Live.Number || e.Deployment != nil && e.Deployment.Cause == towpath.CauseRollback
}

// lost counts those that serve where nobody can know it any more, and that may therefore be given up.
func (w *world) lost() int {
	count := 0
	for id, m := range w.members {
		if p := w.processes[id]; m.weight > 0 && w.isHealthy(id) && w.isLost(p) {
			count++
		}
	}
	return count
}

// serving counts the instances of the goal that answer requests.
func (w *world) serving() int {
	count := 0
	for id, p := range w.processes {
		reached := !w.isBalanced() || w.members[id] != nil && w.members[id].weight > 0
		if p.release == w.environment.Goal.Number && w.isHealthy(id) && reached {
			count++
		}
	}
	return count
}

// satisfied answers what is not as the goal wants it: the fourth property's end.
func (w *world) satisfied() error {
	if err := errors.Join(w.unneeded(), w.singlesSatisfied()); err != nil {
		return err
	}
	if serving := w.serving(); serving != w.wanted() || w.runningCount() != w.wanted() {
		return fmt.Errorf("%d of %d instances serve, %d run", serving, w.wanted(), w.runningCount())
	}
	if w.isBalanced() && len(w.members) != w.wanted() {
		return fmt.Errorf("the balancer has %d members, not %d", len(w.members), w.wanted())
	}
	if w.isBalanced() && w.wanted() > 0 && w.misrouted {
		return errors.New("requests are taken elsewhere than the definition says")
	}
	return nil
}

package simulate

import (
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/deploy"
)

// ends judges an order that is about to end an instance, or to take away its files.
func (j *judge) ends(s *site, o order, i *instance) {
	j.standsReady(s, o, i.id)
	if s.balancer == nil {
		j.lowers(s, o, i)
		return
	}
	if m := s.balancer.find(i.id); m != nil {
		j.idles(s, o, m)
	}
}

// forgets judges an order that takes a member out of the table.
func (j *judge) forgets(s *site, o order, m *member) {
	j.standsReady(s, o, m.id)
	j.idles(s, o, m)
}

// idles judges that nothing is lost when a member ends.
func (j *judge) idles(s *site, o order, m *member) {
	elapsed, streams := j.world.now-m.idle, s.place.streams
	if !s.place.balancer.streams {
		streams = s.place.requests // it cannot tell them apart
	}
	switch {
	case m.weight > 0:
		j.breaks(drained, "%s: %q while %s takes traffic", s.key, o, m.id)
	case j.world.server.jumped > m.idle: // drains are measured by the server's clock
	case m.requests > 0 && elapsed < almost(s.place.requests):
		j.breaks(drained, "%s: %q while %s has %d requests in flight, %s after its last", s.key, o, m.id, m.requests, elapsed)
	case m.streams > 0 && elapsed < almost(streams):
		j.breaks(drained, "%s: %q while %s has %d streams open, %s after its last request", s.key, o, m.id, m.streams, elapsed)
	}
}

// lowers judges capacity where no balancer moves traffic: whatever runs has some.
func (j *judge) lowers(s *site, o order, ended *instance) {
	before, after := 0, 0
	for _, i := range s.target.instances {
		if i.fine && i.wasFine(o.seenAt) {
			before++
		}
		if i != ended && (i.fine || i.isStarted() && i.wasFine(o.seenAt)) {
			after++
		}
	}
	if floor := min(before, s.floor(o)); ended.fine && after < floor {
		j.breaks(capacity, "%s: after %q %d healthy instances run, and %d have to", s.key, o, after, floor)
	}
}

// floor is how many have to take traffic while an order is carried out.
func (s *site) floor(o order) int {
	if o.goal == 0 || s.place.strategy == towpath.StrategyAllAtOnce {
		return 0
	}
	return min(s.place.minimum, s.place.instances)
}

// almost leaves clocks that drift their due.
func almost(d time.Duration) time.Duration { return d - d/50 }

// shifts judges a change of the weights, by what was true when it was planned or is now; the answer judges its result.
func (j *judge) shifts(s *site, o order, operation deploy.Shift) func() {
	j.stale(s, "balancer", o)
	taking := map[string]bool{}
	floor := 0
	for _, m := range s.balancer.members {
		i := s.target.find(m.id)
		if taking[m.id] = m.weight > 0; taking[m.id] && i != nil && i.fine && i.wasFine(o.seenAt) && !s.isLost(i, o) {
			floor++
		}
	}
	floor = min(floor, s.floor(o))
	old := s.balancer.weightOf(o.known.Live.Number)
	return func() {
		j.steps(s, o, operation, old)
		serving := 0
		for _, m := range s.balancer.members {
			i := s.target.find(m.id)
			if m.weight == 0 {
				continue
			}
			if i != nil && (i.fine || i.wasFine(o.seenAt)) {
				serving++
			}
			if !taking[m.id] && (i == nil || i.release != o.goal || !i.wasFine(o.seenAt)) {
				j.breaks(proved, "%s: %q gives traffic to %s, which was not proved; the goal is release %d", s.key, o, m.id, o.goal)
			}
		}
		if serving < floor {
			j.breaks(capacity, "%s: after %q %d healthy instances take traffic, and %d have to", s.key, o, serving, floor)
		}
	}
}

// isLost says that an instance may be given up though it serves: its keeper has heard nothing of it in any way for as long as it may
// take to come up, and its balancer does not look for itself.
func (s *site) isLost(i *instance, o order) bool {
	return s.machine == nil && !s.place.balancer.checks && i.box.isLost(o.from, o.seenAt, s.place.within)
}

// unanswered judges a request that nobody answers. An instance that broke by itself is no fault of ours.
func (j *judge) unanswered(s *site, m *member, i *instance) {
	if i == nil || i.ended > i.started {
		j.breaks(served, "%s: a request was given to %s, which was stopped by an order", s.key, m.id)
	}
}

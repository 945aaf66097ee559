package simulate

import (
	"time"

	"github.com/towpath-cd/towpath/internal/deploy"
)

// acts judges an order at the moment at which it does something to an instance.
func (j *judge) acts(s *site, o order, id string) {
	j.stale(s, o)
	switch o.operation.(type) {
	case deploy.Stop, deploy.Remove, deploy.Forget:
	default:
		return
	}
	if s.balancer == nil {
		return
	}
	j.standsReady(s, o, id)
	m := s.balancer.find(id)
	if m == nil {
		return
	}
	elapsed := j.world.now - m.idle
	switch {
	case m.weight > 0:
		j.breaks(drained, "%s: %q while %s takes traffic", s.key, o, id)
	case j.world.server.jumped > m.idle: // drains are measured by the server's clock
	case m.requests > 0 && elapsed < almost(s.place.requests):
		j.breaks(drained, "%s: %q while %s has %d requests in flight, %s after its last", s.key, o, id, m.requests, elapsed)
	case m.streams > 0 && elapsed < almost(s.place.streams):
		j.breaks(drained, "%s: %q while %s has %d streams open, %s after its last request", s.key, o, id, m.streams, elapsed)
	}
}

// almost leaves clocks that drift their due.
func almost(d time.Duration) time.Duration { return d - d/50 }

// shifts judges a change of the weights, by what was true when it was planned or is now; the answer judges its result.
func (j *judge) shifts(s *site, o order, operation deploy.Shift) func() {
	j.stale(s, o)
	taking := map[string]bool{}
	floor := 0
	for _, m := range s.balancer.members {
		i := s.target.find(m.id)
		if taking[m.id] = m.weight > 0; taking[m.id] && i != nil && i.fine && i.wasFine(o.seenAt) {
			floor++
		}
	}
	floor = min(floor, s.place.minimum, s.place.instances)
	if o.goal == 0 || !s.place.blueGreen {
		floor = 0
	}
	return func() {
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

// unanswered judges a request that nobody answers. An instance that broke by itself is no fault of ours.
func (j *judge) unanswered(s *site, m *member, i *instance) {
	if i == nil || i.ended > i.started {
		j.breaks(served, "%s: a request was given to %s, which was stopped by an order", s.key, m.id)
	}
}

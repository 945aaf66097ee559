package simulate

import (
	"errors"
	"slices"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/deploy"
)

// balancer gives requests to its members by their weights.
type balancer struct {
	site    *site
	members []*member // in the order in which they came
	fence   fence
	blind   time.Duration // until then it cannot be read
	served  []towpath.Served
}

// member is an instance in the balancer's table.
type member struct {
	id       string
	weight   int
	requests int
	streams  int
	idle     time.Duration // since when its weight has been 0
	cut      int           // counts how often all that was in flight ended at once
	closed   int           // counts how often its streams were closed
}

func (b *balancer) find(id string) *member {
	for _, m := range b.members {
		if m.id == id {
			return m
		}
	}
	return nil
}

var errUnreadable = errors.New("the balancer does not answer")

// observe is what a driver of the balancer says.
func (b *balancer) observe() (towpath.Observation, error) {
	w := b.site.world
	if w.fault(w.drawn.faults.blind) && w.now >= b.blind {
		b.blind = w.now + w.dice.between(0, 5*time.Second)
		w.say(b.site.host.id, "balancer of %s cannot be read", b.site.key)
	}
	if w.now < b.blind {
		return towpath.Observation{}, errUnreadable
	}
	seen := towpath.Observation{Epoch: b.fence.highest, Address: "127.0.0.1:8080", At: b.site.host.clock.wall()}
	seen.Served = slices.Clone(b.served)
	for _, m := range b.members {
		seen.Instances = append(seen.Instances, towpath.Instance{ID: m.id, Traffic: towpath.Traffic{
			Known: true, Member: true, Weight: m.weight, Requests: m.requests, Streams: m.streams,
		}})
	}
	return seen, nil
}

var errHasTraffic = errors.New("it has a share of the traffic")

// act does an order of a balancer.
func (b *balancer) act(o order) error {
	if err := b.fence.admit(b.site, "balancer", o); err != nil {
		return err
	}
	for _, id := range deploy.InstancesOf(o.operation) {
		if m := b.find(id); m != nil && m.weight > 0 && !isShift(o) {
			return &deploy.Retryable{Err: errHasTraffic}
		}
	}
	switch operation := o.operation.(type) {
	case deploy.Shift:
		b.shift(o, operation)
	case deploy.Forget:
		for _, id := range operation.Instances {
			b.site.world.judge.acts(b.site, o, id)
			b.members = slices.DeleteFunc(b.members, func(m *member) bool { return m.id == id })
		}
	}
	return nil
}

func isShift(o order) bool {
	_, is := o.operation.(deploy.Shift)
	return is
}

// shift sets every weight in one change.
func (b *balancer) shift(o order, operation deploy.Shift) {
	j := b.site.world.judge
	check := j.shifts(b.site, o, operation)
	for _, id := range deploy.InstancesOf(operation) {
		if b.find(id) == nil {
			b.members = append(b.members, &member{id: id, idle: b.site.world.now})
		}
	}
	for _, m := range b.members {
		weight := operation.Weights[m.id]
		if weight == 0 && m.weight > 0 {
			m.idle = b.site.world.now
		}
		m.weight = weight
	}
	check()
}

// inFlight counts what is in flight at the members that an operation names.
func (b *balancer) inFlight(ids []string) (requests, streams int) {
	for _, id := range ids {
		if m := b.find(id); m != nil {
			requests += m.requests
			streams += m.streams
		}
	}
	return requests, streams
}

// closeStreams ends what is left of streams.
func (b *balancer) closeStreams(ids []string) {
	for _, id := range ids {
		if m := b.find(id); m != nil {
			m.streams = 0
			m.closed++
		}
	}
}

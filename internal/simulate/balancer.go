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
	can     balancing
	members []*member // in the order in which they came
	former  []*member // that clients may still know
	fence   fence
	blind   time.Duration // until then it cannot be read
	served  []towpath.Served
}

// member is an instance in the balancer's table.
type member struct {
	id       string
	address  string
	weight   int
	requests int
	streams  int
	idle     time.Duration // since when its weight has been 0
	from     time.Duration // since when it has some
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
		w.say("balancer", "of %s cannot be read", b.site.key)
	}
	if w.now < b.blind {
		return towpath.Observation{}, errUnreadable
	}
	seen := towpath.Observation{Epoch: b.fence.highest, Address: "127.0.0.1:8080", At: b.site.target.boxes[0].clock.wall()}
	if b.can.errors {
		seen.Served = slices.Clone(b.served)
	}
	for _, m := range b.members {
		seen.Instances = append(seen.Instances, towpath.Instance{ID: m.id, Address: m.address, Traffic: b.traffic(m)})
	}
	return seen, nil
}

// traffic is what the balancer can say of a member.
func (b *balancer) traffic(m *member) towpath.Traffic {
	t := towpath.Traffic{Known: true, Member: true, Weight: m.weight}
	if b.can.checks && m.weight > 0 {
		t.Checked = b.check(m)
	}
	switch {
	case !b.can.counts:
		t.Uncounted = m.weight > 0 || m.from < m.idle // it had some
	case b.can.streams:
		t.Requests, t.Streams = m.requests, m.streams
	default:
		t.Requests = m.requests + m.streams
	}
	return t
}

// check is what the balancer finds where a member answers.
func (b *balancer) check(m *member) towpath.Health {
	if i := b.site.target.find(m.id); i != nil && i.fine {
		return towpath.HealthPassing
	}
	return towpath.HealthFailing
}

// isIdle says that no request is in flight, for all that the balancer knows.
func (b *balancer) isIdle(ids []string) bool {
	return !slices.ContainsFunc(ids, func(id string) bool {
		m := b.find(id)
		return m != nil && (b.traffic(m).Requests > 0 || b.traffic(m).Uncounted)
	})
}

// admit refuses who has been followed, where the balancer can.
func (b *balancer) admit(o order) error {
	if !b.can.fences {
		return nil
	}
	return b.fence.admit(b.site, "balancer", o)
}

var errHasTraffic = errors.New("it has a share of the traffic")

// act does an order of a balancer.
func (b *balancer) act(o order) error {
	if err := b.admit(o); err != nil {
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
			b.forget(o, id)
		}
	}
	return nil
}

func (b *balancer) forget(o order, id string) {
	m, j := b.find(id), b.site.world.judge
	if m == nil {
		return
	}
	j.stale(b.site, "balancer", o)
	j.forgets(b.site, o, m)
	b.members = slices.DeleteFunc(b.members, func(other *member) bool { return other == m })
	b.former = append(b.former, m)
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
			m := &member{id: id, idle: b.site.world.now, from: b.site.world.now}
			if i := b.site.target.find(id); i != nil {
				m.address = i.address
			}
			b.members = append(b.members, m)
		}
	}
	for _, m := range b.members {
		b.weigh(m, operation.Weights[m.id])
	}
	check()
}

func (b *balancer) weigh(m *member, weight int) {
	if !b.can.weights && weight > 0 {
		weight = deploy.FullWeight
	}
	switch {
	case weight == 0 && m.weight > 0:
		m.idle = b.site.world.now
	case weight > 0 && m.weight == 0:
		m.from = b.site.world.now
	}
	m.weight = weight
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

// weightOf adds up the shares of a release.
func (b *balancer) weightOf(release int) (sum int) {
	for _, m := range b.members {
		if of, _ := towpath.ParseInstanceID(m.id); of == release {
			sum += m.weight
		}
	}
	return sum
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

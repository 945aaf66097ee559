package simulate

import (
	"slices"
	"time"

	"github.com/towpath-cd/towpath"
)

// serve has clients send requests to an environment. They never try again, and notice what fails.
func (s *site) serve() {
	if s.balancer == nil {
		return
	}
	s.world.every(150*time.Millisecond, 900*time.Millisecond, nil, func() { s.request(s.world.dice.chance(0.1)) })
}

// request gives one request, or a stream, to a member by its weight.
func (s *site) request(isStream bool) {
	w, m := s.world, s.balancer.choose()
	if m == nil {
		return // nobody serves: a deployment that has not come so far, or an environment without capacity to keep
	}
	i := s.target.find(m.id)
	if i == nil || !i.fine {
		w.judge.unanswered(s, m, i)
		s.balancer.count(m, true)
		return
	}
	if i.rotten && !isStream && w.dice.chance(0.8) {
		s.balancer.count(m, true)
		return
	}
	count, lasts := &m.requests, w.dice.between(10*time.Millisecond, 600*time.Millisecond)
	if w.dice.chance(0.05) {
		lasts = w.dice.between(time.Second, 4*time.Second)
	}
	if isStream {
		count, lasts = &m.streams, w.dice.between(time.Second, 12*time.Second)
	}
	*count++
	cut, closed := m.cut, m.closed
	w.after(lasts, nil, "", func() {
		if m.cut == cut && (!isStream || m.closed == closed) {
			*count--
			s.balancer.count(m, false)
		}
	})
}

// count notes how a request ended.
func (b *balancer) count(m *member, failed bool) {
	release, _ := towpath.ParseInstanceID(m.id)
	n := slices.IndexFunc(b.served, func(s towpath.Served) bool { return s.Release == release })
	if n < 0 {
		n, b.served = len(b.served), append(b.served, towpath.Served{Release: release})
	}
	b.served[n].Requests++
	if failed {
		b.served[n].Errors++
	}
}

// choose is by the weights, and by chance.
func (b *balancer) choose() *member {
	total := 0
	for _, m := range b.members {
		total += m.weight
	}
	if total == 0 {
		return nil
	}
	n := b.site.world.dice.IntN(total)
	for _, m := range b.members {
		if n -= m.weight; n < 0 {
			return m
		}
	}
	return nil
}

// cut ends what is in flight at an instance that has ended.
func (s *site) cut(i *instance) {
	if s.balancer == nil {
		return
	}
	if m := s.balancer.find(i.id); m != nil {
		m.requests, m.streams = 0, 0
		m.cut++
	}
}

package simulate

import (
	"slices"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/deploy"
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

// choose is by the weights, and by chance. Some clients go by what they were told a while ago.
func (b *balancer) choose() *member {
	all, at := b.members, b.site.world.now
	if b.can.lasts > 0 {
		all, at = slices.Concat(b.members, b.former), at-b.site.world.dice.between(0, b.can.lasts)
	}
	total := 0
	for _, m := range all {
		total += m.weightAt(at)
	}
	if total == 0 {
		return nil
	}
	n := b.site.world.dice.IntN(total)
	for _, m := range all {
		if n -= m.weightAt(at); n < 0 {
			return m
		}
	}
	return nil
}

// weightAt is what the member's weight was, as far back as clients remember.
func (m *member) weightAt(at time.Duration) int {
	switch {
	case m.weight > 0 && m.from <= at:
		return m.weight
	case m.weight == 0 && m.from <= at && at < m.idle:
		return deploy.FullWeight
	}
	return 0
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

package haproxy

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/towpath-cd/towpath"
)

// join makes one table of those of all HAProxies: a member has the greatest share that any gives it, and all that is in
// flight anywhere. One that has a server of its own name in one of them, and one of a template in another, is the same: it
// answers at one address. Where they do not give the same shares, they differ.
func (d *Driver) join(tables []table) (members []towpath.Instance, differ bool) {
	for n, t := range tables {
		for _, s := range t.members() {
			m := d.member(d.sides[n], s)
			at := slices.IndexFunc(members, func(i towpath.Instance) bool { return i.Address == m.Address })
			if at < 0 {
				members = append(members, m)
				continue
			}
			add(&members[at], m)
		}
	}
	for _, t := range tables {
		for _, m := range members {
			differ = differ || shareOf(t, d.names.numeric(m.Address)) != m.Traffic.Weight
		}
	}
	return members, differ
}

// shareOf is what a table gives a member, by the server that has most where several are the member's.
func shareOf(t table, address string) (share int) {
	for _, s := range t.members() {
		if s.address == address {
			share = max(share, s.share())
		}
	}
	return share
}

func add(to *towpath.Instance, m towpath.Instance) {
	to.Traffic.Weight = max(to.Traffic.Weight, m.Traffic.Weight)
	to.Traffic.Requests += m.Traffic.Requests
	to.Traffic.Streams += m.Traffic.Streams
	to.Traffic.Uncounted = to.Traffic.Uncounted || m.Traffic.Uncounted
	to.Problem = cmp.Or(to.Problem, m.Problem)
	if to.Traffic.Checked != towpath.HealthPassing { // one that reaches it is enough to say that it answers
		to.Traffic.Checked = cmp.Or(m.Traffic.Checked, to.Traffic.Checked)
	}
	if m.Release > 0 {
		to.ID, to.Release = m.ID, m.Release
	}
}

// member is a server as a member of the balancer. What is still in flight when the time of requests is over is taken for
// a stream: HAProxy does not tell which it is.
func (d *Driver) member(at *side, s server) towpath.Instance {
	address := d.names.named(s.address)
	m := towpath.Instance{ID: address, Release: s.release(), Address: address}
	if m.Release > 0 {
		m.ID = s.name
	}
	m.Traffic = towpath.Traffic{Known: true, Member: true, Weight: s.share(), Requests: s.sessions, Checked: s.checked()}
	if m.Traffic.Weight == 0 {
		m.Traffic.Uncounted = at.hidesSessions(d.clocks.Requests)
		if s.isOff() && s.since+time.Second >= d.clocks.Requests { // HAProxy counts whole seconds
			m.Traffic.Requests, m.Traffic.Streams = 0, s.sessions
		}
	}
	if s.isDown() {
		m.Problem = fmt.Sprintf("HAProxy at %s says that it is down: %s", at.name, s.check)
	}
	return m
}

// isAnew says that another process answers than the one that took our last order, and that it does not have the shares
// that were ordered.
func (s *side) isAnew(t table) bool {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.meet(t.process)
	if s.process == t.process {
		return false
	}
	if s.given != nil && isSame(s.given, shares(t)) {
		s.process = t.process
		return false
	}
	return true
}

// meet notes which process answers. The caller holds the mutex.
func (s *side) meet(process string) {
	if s.process == "" {
		s.process = process
	}
	if s.latest != "" && s.latest != process {
		s.renewed = time.Now()
	}
	s.latest = process
}

// hidesSessions says that a process from before a reload may still have requests in flight, which are counted nowhere.
func (s *side) hidesSessions(clock time.Duration) bool {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return !s.renewed.IsZero() && time.Since(s.renewed) < clock
}

// ordered notes what a process was told, and shows.
func (s *side) ordered(t table) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.meet(t.process)
	s.process, s.given = t.process, shares(t)
}

// shares are those of members that have one.
func shares(t table) map[string]int {
	all := make(map[string]int)
	for _, s := range t.members() {
		if s.share() > 0 {
			all[s.identity()] = max(all[s.identity()], s.share())
		}
	}
	return all
}

func isSame(a, b map[string]int) bool {
	if len(a) != len(b) {
		return false
	}
	for name, share := range a {
		if b[name] != share {
			return false
		}
	}
	return true
}

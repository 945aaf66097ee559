package trigger

import (
	"time"

	"github.com/towpath-cd/towpath"
)

// How many repositories are asked at the same time. One that has not answered for slowAfter gives its place to another, so
// that slow ones hold up nobody else; but it counts against the larger bounds.
const (
	pollsAtOnce   = 16
	pollsInAll    = 64
	hostsPolls    = 4 // of one host
	hostsInAll    = 8
	slowAfter     = 5 * time.Second
	shortestPause = 10 * time.Second // of a host that does not answer
)

// host is a machine with repositories. Folders of our own machine share one without a name and without bounds.
type host struct {
	name     string
	failures int       // in a row
	until    time.Time // when it is tried again after a failure
}

// hostOf answers the host of a project's repository.
func (p *Poller) hostOf(project towpath.Project) *host {
	name := p.repositories.git.HostOf(project.URL)
	if p.hosts[name] == nil {
		p.hosts[name] = &host{name: name}
	}
	return p.hosts[name]
}

// forgetHosts drops those of which there is no project any more.
func (p *Poller) forgetHosts() {
	used := make(map[*host]bool, len(p.hosts))
	for _, w := range p.watched {
		used[w.host] = true
	}
	for name, h := range p.hosts {
		if !used[h] {
			delete(p.hosts, name)
		}
	}
}

func (h *host) answered() { h.failures, h.until = 0, time.Time{} }

// failed answers for how long the host is left alone. Calls that began before the last failure make it no longer.
func (h *host) failed(now time.Time) time.Duration {
	if now.Before(h.until) {
		return h.until.Sub(now)
	}
	h.failures++
	pause := min(longestPause, shortestPause<<min(h.failures-1, 8))
	h.until = now.Add(pause)
	return pause
}

// rests says that the host is left alone. A rest that is longer than any was taken by a clock that was set back since.
func (h *host) rests(now time.Time) bool {
	left := h.until.Sub(now)
	return left > 0 && left <= longestPause
}

// places count who is asked now.
type places struct {
	young, all int
	byHost     map[*host]*places
}

func (p *Poller) count(now time.Time) *places {
	c := &places{byHost: map[*host]*places{}}
	for _, w := range p.watched {
		if !w.since.IsZero() {
			isYoung := now.Sub(w.since) < slowAfter
			c.add(isYoung)
			c.of(w.host).add(isYoung)
		}
	}
	return c
}

func (c *places) of(h *host) *places {
	if c.byHost[h] == nil {
		c.byHost[h] = &places{}
	}
	return c.byHost[h]
}

func (c *places) add(isYoung bool) {
	c.all++
	if isYoung {
		c.young++
	}
}

// admit says whether one more repository of a host may be asked, and counts it. A host that did not answer is tried with
// one.
func (c *places) admit(h *host, now time.Time) bool {
	its, most := c.of(h), hostsPolls
	if h.failures > 0 {
		most = 1
	}
	isFull := its.young >= most || its.all >= hostsInAll || h.rests(now)
	if c.young >= pollsAtOnce || c.all >= pollsInAll || h.name != "" && isFull {
		return false
	}
	c.add(true)
	its.add(true)
	return true
}

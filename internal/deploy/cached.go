package deploy

import (
	"fmt"
	"time"

	"github.com/towpath-cd/towpath"
)

// What clients keep of where an environment answers, as with a name in DNS, stands here. Who has an old address goes on with it
// for as long as it was told to, and nobody can call it back: so that time is made short before traffic moves, and the old
// side is up for all of it.

// shorten has clients keep no longer than the definition says where the environment answers, long before traffic moves: what
// comes before that takes some of the wait.
func shorten(s situation) []Step {
	name, ttl := s.Environment.Definition.Balancer.Caching()
	seen := s.Observed.Cached
	if name == "" || seen == nil || seen.TTL <= ttl || s.isBlind() {
		return nil
	}
	return one(Shorten{TTL: ttl}, "clients keep the addresses of %s for %s", name, brief(seen.TTL))
}

// patient lets no instance lose its share while clients may keep its address for longer than it is drained.
func (s situation) patient(steps []Step) []Step {
	if len(steps) == 0 || s.Observed.Cached == nil || !s.Now.Before(s.Observed.Cached.Until) {
		return steps
	}
	shift, is := steps[0].Operation.(Shift)
	if !is || !s.takesAway(shift) {
		return steps
	}
	name, ttl := s.Environment.Definition.Balancer.Caching()
	why := fmt.Sprintf("some clients keep an old address of %s for longer than %s", name, brief(ttl))
	return one(Await{Until: s.Observed.Cached.Until, Why: why}, "what loses its traffic is up for as long as clients may come")
}

// takesAway says that somebody who answers, for all that is known, loses the traffic that it has. Of who has an address and is no
// instance of ours nothing is known.
func (s situation) takesAway(o Shift) bool {
	losing := filter(s.Observed.Instances, func(i towpath.Instance) bool {
		return s.traffic(i).Weight > 0 && o.Weights[i.ID] == 0 && (isReady(i) || isForeign(i))
	})
	return len(losing) > 0
}

// shorten starts the time in which some clients keep what they were told before.
func (f *Facts) shorten(o Shorten) {
	was := f.Observed.Cached
	if was == nil || was.TTL <= o.TTL {
		return
	}
	f.Observed.Cached = &towpath.Cached{TTL: o.TTL, Until: later(was.Until, f.Now.Add(was.TTL))}
}

// clients tells what those see who have asked before the traffic moved.
func (s *story) clients(f Facts) string {
	name, ttl := f.Environment.Definition.Balancer.Caching()
	if name == "" || s.left == "" {
		return ""
	}
	drain := f.Environment.Definition.Drain.Requests
	return fmt.Sprintf("those that have asked for %s may reach %s for up to %s after it has left, and it stays up for %s;\n"+
		"resolvers that keep an address for longer than they may are cut off then", name, s.left, brief(ttl), brief(drain))
}

// noteLeaving remembers who lost traffic first.
func (s *story) noteLeaving(o Operation) {
	shift, is := o.(Shift)
	if !is || s.left != "" {
		return
	}
	var leaving []string
	for _, i := range s.facts.Observed.Instances {
		if i.Traffic.Weight > 0 && shift.Weights[i.ID] == 0 {
			leaving = append(leaving, i.ID)
		}
	}
	s.left = s.releases(leaving)
}

// shortening tells what clients keep now and afterwards.
func (s *story) shortening(o Shorten) string {
	name, _ := s.facts.Environment.Definition.Balancer.Caching()
	was := time.Duration(0)
	if s.facts.Observed.Cached != nil {
		was = s.facts.Observed.Cached.TTL
	}
	return fmt.Sprintf("how long clients keep %s: %s → %s", name, brief(was), brief(o.TTL))
}

// draining tells how long an old side is up: where nobody can count who may still come, for all of its time.
func (s *story) draining(o Drain) (what, detail string) {
	name, ttl := s.facts.Environment.Definition.Balancer.Caching()
	if name == "" {
		return fmt.Sprintf("%s until idle, at most %s", s.those(o.Instances), brief(o.Within)), ""
	}
	return fmt.Sprintf("%s for %s", s.those(o.Instances), brief(o.Within)), fmt.Sprintf("clients keep %s for up to %s", name, brief(ttl))
}

// following tells how long clients take to follow a way back.
func following(f Facts) string {
	name, ttl := f.Environment.Definition.Balancer.Caching()
	if name == "" || isRemoval(f.Environment) || f.Environment.Live.Number == 0 {
		return ""
	}
	return fmt.Sprintf("; clients follow within %s", brief(ttl))
}

package deploy

import (
	"slices"

	"github.com/towpath-cd/towpath"
)

// hasKeptFiles says that an instance of a good release stays where it is, ready to be started again. It is the newest of
// its release on its host; what runs, or is in the balancer's table, ends first.
func (s situation) hasKeptFiles(i towpath.Instance) bool {
	h := s.hostOf(i)
	if h == nil || isStarted(i) || i.State == towpath.InstanceGone || s.traffic(i).Member || !s.isKeptRelease(i.Release) {
		return false
	}
	return !slices.ContainsFunc(s.others, func(o towpath.Instance) bool {
		return o.Release == i.Release && slices.Contains(h.slots, o.Slot) && !isStarted(o) && byAge(i, o) < 0
	})
}

// isKeptRelease says that the files of a release stay on fixed slots: those of so many good ones as the target keeps, of
// what stands by, and of what a person went back from.
func (s situation) isKeptRelease(number int) bool {
	e := s.Environment
	if number == e.Goal.Number || e.Definition.Target.Hosts == nil || s.isRemoving() {
		return false
	}
	if s.isStandbyRelease(number) && (s.Now.Before(e.StandbyUntil) || e.Pin != nil && e.Pin.From.Number == number) {
		return true
	}
	good := slices.DeleteFunc(slices.Clone(e.History), func(r towpath.ReleaseRef) bool {
		return r.Number == e.Goal.Number || r.Number == e.Live.Number
	})
	good = good[max(0, len(good)-e.Definition.Target.Hosts.Keep):]
	return slices.ContainsFunc(good, func(r towpath.ReleaseRef) bool { return r.Number == number })
}

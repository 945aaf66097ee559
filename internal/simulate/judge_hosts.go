package simulate

import (
	"fmt"
	"slices"

	"github.com/towpath-cd/towpath"
)

// removes judges an order that takes files away: the last ones on a machine of a release that is kept stay.
func (j *judge) removes(s *site, o order, i *instance) {
	if s.machine != nil || !s.isKept(o.known, i.release) {
		return
	}
	for _, other := range s.target.on(i.box) {
		if other != i && other.release == i.release {
			return
		}
	}
	j.breaks(kept, "%s: %q takes the last files of release %d from %s", s.key, o, i.release, i.box.name)
}

// isKept says that files of a release stay on hosts: of as many good ones as the definition says, besides what is live
// and what is the goal; of what is live while another is the goal; and of what a person went back from.
func (s *site) isKept(e towpath.Environment, release int) bool {
	var good []int
	for _, r := range e.History {
		if r.Number != e.Live.Number && r.Number != e.Goal.Number {
			good = append(good, r.Number)
		}
	}
	good = good[max(0, len(good)-s.place.keep):]
	isPinned := e.Pin != nil && e.Pin.From.Number == release && !slices.Contains(e.Failed, e.Pin.From)
	return release != e.Goal.Number && (slices.Contains(good, release) || isPinned || release == e.Live.Number)
}

// unsettledHosts says what is not as it has to be in the end where the machines are fixed: one instance of what is live on
// each, and beside it the files that are kept.
func (j *judge) unsettledHosts(s *site, e towpath.Environment) string {
	for _, b := range s.target.boxes {
		serving, files := 0, map[int]bool{}
		for _, i := range s.target.on(b) {
			switch {
			case i.release == e.Live.Number && i.fine:
				serving++
			case i.isStarted(), !s.isKept(e, i.release), files[i.release]:
				return fmt.Sprintf("%s: release %d is live, and on %s is %s, %s, fine: %t", s.key, e.Live.Number, b.name, i.id, i.state, i.fine)
			default:
				files[i.release] = true
			}
		}
		if wanted := min(1, e.Live.Number); serving != wanted {
			return fmt.Sprintf("%s: %d instances serve on %s, %d are wanted", s.key, serving, b.name, wanted)
		}
	}
	return ""
}

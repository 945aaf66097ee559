//go:build unix

package keeper_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/towpath-cd/towpath"
)

func TestTheServerHearsWhatWasDoneInEachDeployment(t *testing.T) {
	s := newSite(t, blueGreen())
	s.keeps()
	first := s.deploy(s.release("one"))
	s.ends(first, towpath.DeploymentLive)
	second := s.deploy(s.release("two"))
	s.ends(second, towpath.DeploymentLive)
	for _, id := range []string{first, second} {
		did := s.did(id)
		for _, verb := range []string{"place", "start", "shift"} {
			if !slices.ContainsFunc(did, func(e towpath.JournalEntry) bool { return strings.HasPrefix(e.Operation, verb) }) {
				t.Errorf("of %s the server heard nothing of %s: %+v", id, verb, did)
			}
		}
		for _, e := range did {
			if e.Began.IsZero() || e.Ended.Before(e.Began) || e.Problem != "" {
				t.Errorf("it heard %+v", e)
			}
		}
	}
}

// did answers what the server has heard of a deployment.
func (s *server) did(id string) []towpath.JournalEntry {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return slices.DeleteFunc(slices.Clone(s.journal), func(e towpath.JournalEntry) bool { return e.Deployment != id })
}

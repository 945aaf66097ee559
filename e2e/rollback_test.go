//go:build linux

package e2e_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/towpath-cd/towpath/client"
)

// TestARollbackFurtherBackNeedsNeitherTheForgeNorTheArtifactsNorASlot goes back two releases in a frozen environment, while
// the repository and the server's artifacts are gone and both slots of the only worker are busy.
func TestARollbackFurtherBackNeedsNeitherTheForgeNorTheArtifactsNorASlot(t *testing.T) {
	t.Parallel()
	s := openSite(t)
	repository := s.newRepository("app", short).watch()
	s.ends(1, "passed")
	for n, version := range []string{"two", "three"} {
		repository.push(tree{"version": version})
		s.ends(n+2, "passed")
	}
	s.serves("three")
	s.holds("hold")
	busy := withHeld(s.root + "/hold")
	busy = strings.Replace(busy, "  - deploy: live\n", "  - test: also\n    needs: [unit]\n    run: while test -e "+s.root+"/hold; do sleep 0.05; done\n  - deploy: live\n", 1)
	repository.push(tree{"version": "four", "towpath.yaml": busy})
	s.reaches(4, "held", "running")
	s.reaches(4, "also", "running") // the worker has two slots
	_, err := s.api.Freeze(t.Context(), "app/live", "the sale", time.Time{})
	s.must(err)
	s.must(os.Rename(repository.bare, repository.bare+".gone"))
	s.must(os.Rename(filepath.Join(s.data, "artifacts"), filepath.Join(s.data, "artifacts.gone")))

	traffic := s.asks()
	plan, err := s.api.PlanBack(t.Context(), "app/live", 1)
	s.must(err)
	if plan.Goal != 1 || plan.Seconds <= 0 {
		t.Errorf("shown beforehand is %q, %+v", plan.Length, plan.Operations)
	}
	back, err := s.api.RollbackTo(t.Context(), "app/live", client.Rollback{To: 1, Reason: "carts are empty"})
	s.must(err)
	s.environment("live", "back at the first", isLive(1))
	s.serves("one")
	s.flawless(traffic)
	done, err := s.api.History(t.Context(), "app/live", back.ID)
	s.must(err)
	if done.State != "live" || len(done.Journal) == 0 || len(done.Commits.Removed) != 2 && !done.Commits.Pending {
		t.Errorf("its history is %+v", done)
	}
	s.must(os.Rename(filepath.Join(s.data, "artifacts.gone"), filepath.Join(s.data, "artifacts")))
	s.letsGo("hold")
}

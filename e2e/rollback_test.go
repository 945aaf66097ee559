//go:build linux

package e2e_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/towpath-cd/towpath/client"
	"github.com/towpath-cd/towpath/internal/fleet"
)

// occupying is a pipeline file with two steps more, as many as the worker has slots, which go on while a file is there.
func occupying(pipeline, file string) string {
	var steps strings.Builder
	for _, name := range []string{"held", "also"} {
		fmt.Fprintf(&steps, "  - test: %s\n    needs: [app]\n    run: while test -e %s; do sleep 0.05; done\n", name, file)
	}
	return strings.Replace(pipeline, "  - deploy: live\n", steps.String()+"  - deploy: live\n", 1)
}

// isAllGone leaves only the keeper: both slots of the only worker are busy with a run, the environment is frozen, and the
// repository and the server's artifacts are gone. The answered function lets the run go on.
func (r *repository) isAllGone(run int) (goesOn func()) {
	r.Helper()
	pipeline, err := os.ReadFile(filepath.Join(r.work, "towpath.yaml"))
	r.must(err)
	r.holds("hold")
	r.push(tree{"version": "never", "towpath.yaml": occupying(string(pipeline), r.root+"/hold")})
	r.reaches(run, "held", "running")
	r.reaches(run, "also", "running")
	_, err = r.api.Freeze(r.Context(), "app/live", "the sale", time.Time{})
	r.must(err)
	r.disappears()
	artifacts := filepath.Join(r.data, "artifacts")
	r.must(os.Rename(artifacts, artifacts+".gone"))
	return func() {
		r.Helper()
		r.must(os.RemoveAll(artifacts)) // a server that was started meanwhile has made an empty one
		r.must(os.Rename(artifacts+".gone", artifacts))
		r.letsGo("hold")
	}
}

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
	goesOn := repository.isAllGone(4)

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
	goesOn()
}

// TestARollbackOfHostsNeedsNothingButTheirKeeper goes back over all hosts while the git server and the server's artifacts are
// gone, both slots are busy and the environment is frozen; and then, when the server is gone too, once more.
func TestARollbackOfHostsNeedsNothingButTheirKeeper(t *testing.T) {
	t.Parallel()
	fleet.Run(t, 3, func(t *testing.T, f *fleet.Fleet) {
		p := openPlant(t, f)
		for n, version := range []string{"two", "three"} {
			p.repository.push(tree{"version": version})
			p.ends(n+2, "passed")
		}
		p.runs("r3")
		goesOn := p.repository.isAllGone(4)

		traffic := p.asks()
		if said := p.rollsBack("--reason", "carts are empty"); !strings.Contains(said, "length: about ") {
			t.Errorf("it does not show beforehand how long it takes:\n%s", said)
		}
		p.runs("r2")
		p.serves("two")
		p.flawless(traffic)

		traffic = p.asks()
		p.server.kill()
		if told := p.goesBackDirectly(1, "--data", p.workerData()); !strings.Contains(told, "cannot refuse orders of another keeper") {
			t.Errorf("it does not warn that HAProxy takes orders from anybody:\n%s", told)
		}
		p.linksLeadTo("r1")
		p.serves("one")
		p.startServer("--no-worker")
		p.isReconciled(2, 1)
		p.runs("r1")
		p.flawless(traffic)
		goesOn()
	})
}

// rollsBack calls the verb, which has to come to its end, and answers what it said.
func (s *site) rollsBack(flags ...string) (said string) {
	s.Helper()
	environ := append(slices.Clone(s.environ), "TOWPATH_SERVER=http://"+s.address, "TOWPATH_TOKEN="+s.token())
	verb := startWith(s, "rollback", s.root, environ, s.user, append([]string{"rollback", "live"}, flags...)...)
	until(s, "the rollback ends", verb.isGone)
	code, said := verb.result()
	if code != 0 {
		s.Fatalf("going back ended with %d:\n%s", code, said)
	}
	return said
}

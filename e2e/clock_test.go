//go:build linux

package e2e_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// sweeps is long enough for the server to have looked twice whether something ran out of time, which nothing tells.
const sweeps = 2500 * time.Millisecond

func TestAServersClockThatIsMovedByADayLosesNoStepAndNoRequest(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	clock := filepath.Join(s.root, "clock")
	s.environ = []string{"TOWPATH_CLOCK=" + clock}
	moves := func(by string) {
		t.Helper()
		s.must(os.WriteFile(clock+".new", []byte(by), 0o600))
		s.must(os.Rename(clock+".new", clock))
	}
	s.startServer("--no-worker")
	s.startProxy()
	s.startWorker()
	repository := s.newRepository("app", short).watch()
	s.ends(1, "passed")
	traffic := s.asks()

	for n, by := range []string{"24h", "0", "-24h", "0"} {
		release := n + 2
		s.holds("hold")
		repository.push(tree{"version": "v" + by, "towpath.yaml": withHeld(s.root + "/hold")})
		s.isHeld(release)
		moves(by)
		lets(sweeps)
		s.letsGo("hold")
		for _, step := range s.ends(release, "passed").Steps {
			if step.Attempt > 1 {
				t.Errorf("%s ran %d times when the clock was moved to %s", step.Name, step.Attempt, by)
			}
		}
		s.environment("live", "v"+by, isLive(release))
		s.serves("v" + by)
	}
	s.flawless(traffic)
}

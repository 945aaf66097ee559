//go:build linux

package e2e_test

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/towpath-cd/towpath/client"
	"github.com/towpath-cd/towpath/internal/process"
)

func TestAKeeperThatIsKilledInTheMidstOfDeploymentsConvergesWithoutALostRequest(t *testing.T) {
	t.Parallel()
	s := openSite(t)
	repository := s.newRepository("app", short).watch()
	s.ends(1, "passed")
	traffic := s.asks()
	random := moments(t)
	deployments := 5
	for release := 2; release < 2+deployments; release++ {
		repository.push(tree{"version": fmt.Sprintf("v%d", release)})
		s.run(release, "deploying", func(r client.Run) bool {
			state := stepOf(r, "live").State
			return state == "running" || state == "passed"
		})
		for range 1 + random.IntN(2) {
			lets(time.Duration(random.IntN(800)) * time.Millisecond)
			s.worker.kill()
			s.startWorker()
		}
		s.ends(release, "passed")
		s.environment("live", "converged", isLive(release))
		s.serves(fmt.Sprintf("v%d", release))
	}
	s.standsOnly(1 + deployments)
	s.flawless(traffic)
}

func TestASupervisorThatIsKilledIsReplacedAndItsInstanceServesOn(t *testing.T) {
	t.Parallel()
	s := openSite(t)
	s.newRepository("app", short).watch()
	s.ends(1, "passed")
	traffic := s.asks()
	serving := s.instances()[0].State.Child
	for range 3 {
		killed := s.instances()[0].State.Supervisor
		s.must(process.Signal(killed, syscall.SIGKILL))
		until(t, "another supervisor has taken over", func() bool {
			now := s.instances()
			return len(now) == 1 && now[0].Supervised && now[0].State.Supervisor != killed
		})
	}
	if now := s.instances()[0].State.Child; now != serving {
		t.Errorf("the instance was started again: %v, before %v", now, serving)
	}
	s.serves("one")
	s.flawless(traffic)
}

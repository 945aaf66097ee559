//go:build linux

package e2e_test

import (
	"strings"
	"testing"

	"github.com/towpath-cd/towpath/client"
	"github.com/towpath-cd/towpath/internal/fleet"
)

func TestAWorkerWhoseDiskIsFullDeploysNothingAndTheLiveReleaseServesOn(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.smallDisk(s.workerData(), 3<<30) // a worker wants a gigabyte for its steps
	s.startServer("--no-worker")
	s.startProxy()
	s.startWorker()
	repository := s.newRepository("app", short).watch()
	s.ends(1, "passed")
	repository.push(tree{"version": "two"})
	s.ends(2, "passed")
	s.environment("live", "the first release is gone", func(e client.Environment) bool { return len(e.Instances) == 1 })
	traffic := s.asks()

	room := s.fill(s.workerData())
	back, err := s.api.Rollback(t.Context(), "app/live", "try")
	s.must(err)
	ended := s.deploymentEnds(back.ID)
	if ended.State == "live" || !strings.Contains(ended.Outcome, "0 MiB are free") {
		t.Errorf("without room the deployment is %s: %s", ended.State, ended.Outcome)
	}
	s.environment("live", "two", isLive(2))
	s.serves("two")
	repository.push(tree{"version": "three"})
	s.reaches(3, "app", "queued")

	room()
	s.ends(3, "passed")
	s.serves("three")
	s.flawless(traffic)
}

func TestAProxyWhoseDiskIsFullTakesNoOrderAndServesOn(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.smallDisk(s.proxyData(), 64<<20)
	s.startServer("--no-worker")
	s.startProxy()
	s.startWorker()
	repository := s.newRepository("app", short).watch()
	s.ends(1, "passed")
	traffic := s.asks()

	room := s.fill(s.proxyData())
	repository.push(tree{"version": "two"})
	failed := s.ends(2, "failed")
	if text := s.describe(failed); !strings.Contains(text, "no space left on device") {
		t.Errorf("the run does not say why: %s", text)
	}
	s.environment("live", "one", isLive(1))
	s.serves("one")

	room()
	repository.push(tree{"version": "three"})
	s.ends(3, "passed")
	s.serves("three")
	s.flawless(traffic)
}

func TestAHostWhoseDiskIsFullKeepsAllOnTheirReleaseUntilThereIsRoom(t *testing.T) {
	t.Parallel()
	fleet.Run(t, 3, func(t *testing.T, f *fleet.Fleet) {
		p := openPlant(t, f)
		traffic := p.asks()
		room := f.Hosts[2].FillDisk()
		p.repository.push(tree{"version": "two"})
		if text := p.describe(p.ends(2, "failed")); !strings.Contains(text, "web3: 3") || !strings.Contains(text, "MiB are needed in /srv/app, and 0 MiB are free") {
			t.Errorf("the run does not say why: %s", text)
		}
		p.runs("r1")

		room()
		p.repository.push(tree{"version": "three"})
		p.ends(3, "passed")
		p.runs("r3")
		p.flawless(traffic)
	})
}

// deploymentEnds waits until a deployment of the live environment has ended.
func (s *site) deploymentEnds(id string) (ended client.Deployment) {
	s.Helper()
	until(s, "deployment "+id+" ends", func() bool {
		all, err := s.api.Deployments(s.Context(), "app/live")
		s.must(err)
		for _, d := range all {
			if d.ID == id && d.IsFinal() {
				ended = d
			}
		}
		return ended.ID != ""
	})
	return ended
}

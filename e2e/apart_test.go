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

// vainLimit is how long the server may take to give a step up that nobody can run: it hears for a minute who is there.
const vainLimit = 4 * time.Minute

// withoutNetwork needs a worker that can take the network away, and says so nowhere.
const withoutNetwork = `
pipeline: app
steps:
  - {build: app, run: echo built}
  - {test: alone, needs: [], network: none, run: "echo it ran with $(sed 1,2d /proc/net/dev | cut -d: -f1 | tr -d ' ')"}
`

func TestAStepWithoutANetworkWaitsForAWorkerThatCanTakeItAwayAndExpires(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.environ = []string{"TOWPATH_WAIT_FOR_WORKER=10s"}
	s.startServer("--no-worker")
	s.startWorker()
	s.newRepository("app", tree{"towpath.yaml": withoutNetwork}).watch()
	s.reaches(1, "app", "passed")
	const why = "no worker has label isolation=namespaces; 1 has linux/"
	if alone := stepOf(s.reaches(1, "alone", "queued"), "alone"); !strings.HasPrefix(alone.Reason, why) {
		t.Errorf("while it waits it says %q", alone.Reason)
	}
	ended := s.given(vainLimit, 1, "failed", func(r client.Run) bool { return r.State == "failed" })
	if alone := stepOf(ended, "alone"); alone.State != "failed" || !strings.HasPrefix(alone.Reason, why) || !strings.HasSuffix(alone.Reason, "; waited for 10s") {
		t.Errorf("%+v", alone)
	}
	until(t, "people are told", func() bool { return len(s.receives.of("broke")) == 1 })
	if text, _ := s.readLog(1, "alone", 0); text != "" {
		t.Errorf("it ran: %q", text)
	}

	s.startApart()
	run, err := s.api.StartRun(t.Context(), "app", client.StartRun{})
	s.must(err)
	s.ends(run.Number, "passed")
	if text := s.log(run.Number, "alone", 0); text != "it ran with lo\n" {
		t.Errorf("%q", text)
	}
}

// startApart starts a worker that gives each step a world of its own, which takes root.
func (s *site) startApart() {
	s.Helper()
	if os.Geteuid() != 0 {
		s.Fatal("steps are kept apart by root only: run these tests as root")
	}
	s.must(os.Chmod(s.root, 0o711)) // others come through to their own
	made, err := s.api.NewWorkerToken(s.Context())
	s.must(err)
	s.start("apart", "worker", "--server", "http://"+s.address, "--data", filepath.Join(s.root, "apart"), "--name", "lock",
		"--isolation", "namespaces", "--isolation-users", "201000-201015", "--token", made.Token).awaits("connected to")
}

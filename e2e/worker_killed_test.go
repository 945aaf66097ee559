//go:build linux

package e2e_test

import (
	"strings"
	"testing"
	"time"

	"github.com/towpath-cd/towpath/client"
)

// lostLimit is how soon a step whose worker was killed has to be seen as lost: 15 s are promised, the rest is slack.
const lostLimit = 20 * time.Second

// stuck has a first attempt that would go on for ever.
const stuck = `
      echo attempt "$TOWPATH_ATTEMPT"
      if [ "$TOWPATH_ATTEMPT" = 1 ]; then sleep 1000 & sleep 1000; fi
`

func TestABuildWhoseWorkerIsKilledIsLostInTimeAndRunsAgainByItself(t *testing.T) {
	t.Parallel()
	s := openSite(t)
	s.newRepository("app", tree{"towpath.yaml": `
pipeline: app
steps:
  - build: app
    run: |` + stuck}).watch()
	s.killsWorkerIn("app")
	began := time.Now()
	lost := s.run(1, "lost", func(r client.Run) bool { return stepOf(r, "app").State == "queued" })
	if took := time.Since(began); took > lostLimit {
		t.Errorf("the step was lost after %s", took)
	}
	if reason := stepOf(lost, "app").Reason; reason == "" {
		t.Error("nothing says why the step waits again")
	}

	s.startWorker()
	passed := s.ends(1, "passed")
	if attempts := stepOf(passed, "app").Attempt; attempts != 2 {
		t.Errorf("%d attempts", attempts)
	}
	for n, want := range []string{"attempt 1\n", "attempt 2\n"} {
		if text := s.log(1, "app", n+1); !strings.Contains(text, want) {
			t.Errorf("log of attempt %d: %q", n+1, text)
		}
	}
	s.noneRunsOf("1")
}

func TestAStepThatIsNoBuildFailsWithItsWorkerAndDoesNotRunAgain(t *testing.T) {
	t.Parallel()
	s := openSite(t)
	s.newRepository("app", tree{"towpath.yaml": `
pipeline: app
steps:
  - run: migrate
    script: |` + stuck}).watch()
	s.killsWorkerIn("migrate")
	s.startWorker()
	failed := s.ends(1, "failed")
	if step := stepOf(failed, "migrate"); step.Attempt != 1 || !strings.Contains(step.Reason, "worker") {
		t.Errorf("the step failed in attempt %d: %q", step.Attempt, step.Reason)
	}
	s.noneRunsOf("1")
}

// killsWorkerIn kills the worker while the step's first attempt runs.
func (s *site) killsWorkerIn(step string) {
	s.Helper()
	s.reaches(1, step, "running")
	until(s, "the script runs", func() bool { return len(s.attempt("1")) > 0 })
	until(s, "its log is there", func() bool {
		text, _ := s.readLog(1, step, 1)
		return strings.Contains(text, "attempt 1")
	})
	s.worker.kill()
}

// attempt lists the processes of an attempt's script.
func (s *site) attempt(number string) []running {
	var found []running
	for _, p := range leftIn(s.root) {
		if strings.Contains(p.environment, "TOWPATH_ATTEMPT="+number+" ") {
			found = append(found, p)
		}
	}
	return found
}

func (s *site) noneRunsOf(attempt string) {
	s.Helper()
	if left := s.attempt(attempt); len(left) > 0 {
		s.Errorf("attempt %s still runs: %v", attempt, left)
	}
}

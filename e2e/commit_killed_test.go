//go:build linux

package e2e_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/towpath-cd/towpath/client"
	"github.com/towpath-cd/towpath/internal/failpoint"
)

// killed is a site whose server dies beside certain commits.
type killed struct {
	*site
	points string
}

// openKilled starts a server and a worker. Nobody dies yet.
func openKilled(t *testing.T, environ ...string) killed {
	t.Helper()
	s := newSite(t)
	k := killed{s, filepath.Join(s.root, "points")}
	s.must(os.MkdirAll(filepath.Join(k.points, failpoint.Died), 0o700))
	s.environ = append(environ, failpoint.Variable+"="+k.points)
	s.startServer("--no-worker")
	s.startWorker()
	return k
}

// diesAt has the server die at a side of each commit that stands in the function, and answers how often that is.
func (k killed) diesAt(t *testing.T, in, side string) (times int) {
	t.Helper()
	all := places(t)
	for _, p := range all {
		if p.In == in {
			k.must(os.WriteFile(filepath.Join(k.points, failpoint.FileOf(p.Name+" "+side)), nil, 0o600))
			times++
		}
	}
	if times == 0 {
		t.Fatalf("no place stands in %s, but %q", in, all)
	}
	return times
}

// dies waits until the server has died so often, and starts it each time.
func (k killed) dies(times int) {
	k.Helper()
	for range times {
		<-k.server.exited
		k.launchServer("--no-worker") // it may die before it answers
	}
	k.server.awaits("towpath server: ")
}

// TestARunStepThatWasLeasedToAWorkerThatDidNotHearOfItRuns kills the server after each commit that may lease a step, before
// its worker is answered. A step of the kind run is not done again where nobody knows how far it came.
func TestARunStepThatWasLeasedToAWorkerThatDidNotHearOfItRuns(t *testing.T) {
	t.Parallel()
	k := openKilled(t)
	began := filepath.Join(k.root, "began")
	times := k.diesAt(t, "(*flow.Conductor).ReportStep", failpoint.After) + k.diesAt(t, "(*flow.Conductor).leaseNow", failpoint.After)
	k.newRepository("app", tree{"towpath.yaml": fmt.Sprintf(`
pipeline: app
steps:
  - build: first
    run: "true"
  - run: second
    script: echo began >> %s
`, began)}).watch()
	k.dies(times)
	passed := k.ends(1, "passed")
	if attempts := stepOf(passed, "second").Attempt; attempts != 1 {
		t.Errorf("the step ran %d times", attempts)
	}
	if content, err := os.ReadFile(began); err != nil || string(content) != "began\n" {
		t.Errorf("the script began: %q, %v", content, err)
	}
}

// TestAScheduleFiresOnceThoughTheServerDiesAtIt kills the server on both sides of the commit in which it fires.
func TestAScheduleFiresOnceThoughTheServerDiesAtIt(t *testing.T) {
	t.Parallel()
	clock := filepath.Join(t.TempDir(), "clock")
	k := openKilled(t, "TOWPATH_CLOCK="+clock)
	k.newRepository("app", tree{"towpath.yaml": "pipeline: app\non: {push: true, schedule: \"0 * * * *\"}\nsteps:\n  - {test: unit, run: echo tested}\n"}).watch()
	k.ends(1, "passed")
	times := k.diesAt(t, "(*flow.Conductor).fireSchedules", failpoint.Before) + k.diesAt(t, "(*flow.Conductor).fireSchedules", failpoint.After)
	k.must(os.WriteFile(clock+".new", []byte("1h"), 0o600))
	k.must(os.Rename(clock+".new", clock))
	k.dies(times)
	k.ends(2, "passed")
	runs, err := k.api.Runs(k.Context(), client.RunFilter{})
	k.must(err)
	if len(runs) != 2 {
		t.Errorf("there are %d runs, want one of the push and one of the schedule", len(runs))
	}
}

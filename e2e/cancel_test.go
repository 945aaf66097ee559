//go:build linux

package e2e_test

import (
	"strings"
	"testing"
	"time"

	"github.com/towpath-cd/towpath/client"
)

func TestACanceledStepIsInterruptedAndItsLogIsKept(t *testing.T) {
	t.Parallel()
	s := openSite(t)
	s.newRepository("app", tree{"towpath.yaml": `
pipeline: app
steps:
  - build: long
    run: |
      trap 'echo tidied up; exit 1' INT TERM
      echo began
      while :; do sleep 0.1; done
  - deploy: live
environments:
  live: {target: {process: {command: ./app}}}
`}).watch()
	s.reaches(1, "long", "running")
	until(t, "the script began", func() bool { text, _ := s.readLog(1, "long", 0); return strings.Contains(text, "began") })
	s.cancel(1)
	canceled := s.ends(1, "canceled")
	for step, want := range map[string]string{"long": "canceled", "live": "canceled"} {
		if got := stepOf(canceled, step).State; got != want {
			t.Errorf("%s is %s, not %s", step, got, want)
		}
	}
	if text := s.log(1, "long", 0); !strings.Contains(text, "began\n") || !strings.Contains(text, "tidied up\n") {
		t.Errorf("log: %q", text)
	}
	s.noneRunsOf("1")
	if alerts := s.receives.of("broke"); len(alerts) > 0 {
		t.Errorf("a canceled run is told as broken: %+v", alerts)
	}
}

func TestARunThatWaitsForAWorkerIsCanceledAtOnce(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.startServer("--no-worker")
	s.newRepository("app", tree{"towpath.yaml": "pipeline: app\nsteps: [{build: app, run: echo ran}]\n"}).watch()
	waiting := s.reaches(1, "app", "queued")
	if reason := stepOf(waiting, "app").Reason; !strings.Contains(reason, "worker") {
		t.Errorf("the step does not say what it waits for: %q", reason)
	}
	s.cancel(1)
	s.ends(1, "canceled")

	s.startWorker()
	run, err := s.api.StartRun(t.Context(), "app", client.StartRun{})
	s.must(err)
	s.ends(run.Number, "passed")
	if text, _ := s.readLog(1, "app", 1); text != "" {
		t.Errorf("the canceled step ran: %q", text)
	}
}

func TestARunThatWaitsForApprovalIsCanceledAndNobodyCanApproveItAnyMore(t *testing.T) {
	t.Parallel()
	s := openSite(t)
	ana := s.approver("ana", "releasers")
	s.newRepository("app", wholeWay).watch()
	s.reaches(1, "release", "waiting")
	asked, err := ana.Approval(t.Context(), "app", 1, "release")
	s.must(err)
	s.cancel(1)
	s.ends(1, "canceled")
	s.refuses(func() error {
		_, err := ana.Decide(t.Context(), asked, client.Decision{Approved: true})
		return err
	}, "conflict")
	if waiting, err := ana.Approvals(t.Context()); err != nil || len(waiting) > 0 {
		t.Errorf("still asked: %+v, %v", waiting, err)
	}
	if _, err := s.api.Environment(t.Context(), "app/production"); err == nil {
		t.Error("something was deployed to production")
	}
}

func TestADeploymentUnderWayIsNotCutByCancelingItsRun(t *testing.T) {
	t.Parallel()
	s := openSite(t)
	// The test against the idle side keeps the deployment under way until the story lets it go on.
	files := short.with(tree{"towpath.yaml": strings.Replace(short["towpath.yaml"],
		"{standby: 1s}", `{standby: 1s, test: "while test -e `+s.root+`/hold; do sleep 0.05; done"}`, 1)})
	s.holds("hold")
	s.newRepository("app", files).watch()
	s.reaches(1, "live", "running")
	s.cancel(1)
	lets(300 * time.Millisecond)
	if run := s.reaches(1, "live", "running"); isOver(run) {
		t.Errorf("the run is %s while it deploys", run.State)
	}
	s.letsGo("hold")
	over := s.ends(1, "canceled")
	if step := stepOf(over, "live"); step.State != "passed" {
		t.Errorf("the deployment ended %s: %s", step.State, step.Reason)
	}
	s.environment("live", "live", isLive(1))
	s.serves("one")
}

func (s *site) cancel(number int) {
	s.Helper()
	_, err := s.api.CancelRun(s.Context(), "app", number)
	s.must(err)
}

//go:build linux

package e2e_test

import (
	"strings"
	"testing"
)

// short goes live without anyone's approval.
var short = tree{
	"towpath.yaml": `
pipeline: app
steps:
  - build: app
    run: mkdir dist && cp APP version mode dist/
    artifacts: dist/
  - test: unit
    run: |
      echo testing "$(cat version)"
      ! grep bug version
  - deploy: live
environments:
  live:
    target: {process: {command: ./app}}
    strategy: {blue-green: {standby: 1s}}
    balancer: {proxy: {host: "*"}}
    health: {http: /healthz, release: /release, interval: 50ms, within: 3s}
    drain: 2s
`,
	"version": "one",
	"mode":    "well",
}

// withHeld is the short pipeline with a step that goes on while a file is there.
func withHeld(file string) string {
	held := "  - test: held\n    run: echo held; while test -e " + file + "; do sleep 0.05; done\n"
	return strings.Replace(short["towpath.yaml"], "  - deploy: live\n", held+"  - deploy: live\n", 1)
}

// isHeld waits until a run's step that is held has begun.
func (s *site) isHeld(number int) {
	s.Helper()
	until(s, "the step says that it is held", func() bool {
		text, err := s.readLog(number, "held", 0)
		return err == nil && strings.Contains(text, "held")
	})
}

func TestAFailingTestStopsTheRunAndIsToldOnceAndSoIsItsMending(t *testing.T) {
	t.Parallel()
	s := openSite(t)
	repository := s.newRepository("app", short).watch()
	s.ends(1, "passed")

	repository.push(tree{"version": "a bug"})
	failed := s.ends(2, "failed")
	if step := stepOf(failed, "live"); step.State != "skipped" || step.Release != 0 {
		t.Errorf("the deployment is %s, with release %d", step.State, step.Release)
	}
	if text := s.log(2, "unit", 0); !strings.Contains(text, "testing a bug") {
		t.Errorf("the log does not say why: %s", text)
	}
	broke := s.alerted("broke", 1)[0]
	if broke.Step != "unit" || !strings.Contains(broke.Subject, "#2") {
		t.Errorf("alert: %+v", broke)
	}
	s.environment("live", "still on release 1", isLive(1))
	s.serves("one")

	repository.push(tree{"version": "two"})
	s.ends(3, "passed")
	s.alerted("fixed", 1)
	s.alerted("deployed", 2)
	s.alerted("broke", 1)
	s.serves("two")
}

func TestAReleaseThatNeverGetsWellGoesBackAndTheLiveOneServesOn(t *testing.T) {
	t.Parallel()
	s := openSite(t)
	repository := s.newRepository("app", short).watch()
	s.ends(1, "passed")
	traffic := s.asks()

	repository.push(tree{"version": "two", "mode": "sick"})
	sick := s.ends(2, "failed")
	if reason := stepOf(sick, "live").Reason; !strings.Contains(reason, "503") {
		t.Errorf("the step does not say what the probe was answered: %s", reason)
	}
	returned := s.alerted("returned", 1)[0]
	if !strings.Contains(returned.Text, "the books are closed") {
		t.Errorf("the alert does not have the end of the log: %+v", returned)
	}
	s.environment("live", "still on release 1", isLive(1))
	s.serves("one")

	repository.push(tree{"version": "three", "mode": "crash"})
	s.ends(3, "failed")
	if text := s.alerted("returned", 2)[1].Text; !strings.Contains(text, "no such table") {
		t.Errorf("the alert does not have the end of the log: %s", text)
	}
	s.serves("one")
	s.flawless(traffic)
	s.standsOnly(1)
}

func TestAFirstDeploymentThatFailsLeavesNothingPlaced(t *testing.T) {
	t.Parallel()
	s := openSite(t)
	repository := s.newRepository("app", short.with(tree{"mode": "crash"})).watch()
	s.ends(1, "failed")
	if text := s.alerted("returned", 1)[0].Subject; !strings.Contains(text, "nothing is placed") {
		t.Errorf("the alert says %q", text)
	}
	s.standsOnly()

	repository.push(tree{"version": "two", "mode": "well"})
	s.ends(2, "passed")
	s.serves("two")
}

// standsOnly waits until exactly one instance of each of the releases is on the machine, running and supervised.
func (s *site) standsOnly(releases ...int) {
	s.Helper()
	var seen []string
	s.Cleanup(func() {
		if s.Failed() {
			s.Logf("standing at last: %v", seen)
		}
	})
	until(s, "only the wanted instances stand", func() bool {
		seen = nil
		matching := 0
		for _, e := range s.instances() {
			seen = append(seen, e.Spec.Instance)
			if matching < len(releases) && e.Spec.Release == releases[matching] && e.Alive && e.Supervised {
				matching++
			}
		}
		return matching == len(releases) && len(seen) == matching
	})
}

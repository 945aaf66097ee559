package towpath

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// startRetrying begins the shop's run with a first step that is tried again.
func startRetrying(t *testing.T, retry Retry) *story {
	t.Helper()
	p := shopPipeline()
	p.Steps[0].Script.Retry = retry
	return startStory(t, p)
}

// fails ends the current attempt of a step with an exit code; -1 is a timeout.
func (s *story) fails(step string, exitCode int) {
	s.t.Helper()
	now, _ := s.run.Step(step)
	s.happens(StepLeased{Step: step, Attempt: now.Attempt(), Worker: "w1", At: s.now})
	s.happens(StepReported{
		Step: step, Attempt: now.Attempt(), Worker: "w1", State: AttemptFailed, ExitCode: exitCode, Reason: "it failed", At: s.now,
	})
}

func TestAStepThatPassesAtLastHasPassed(t *testing.T) {
	s := startRetrying(t, Retry{Times: 2})
	s.fails("shop", 1)
	if want := []Effect{EnqueueStep{Run: "run-1", Step: "shop", Attempt: 2}}; !cmp.Equal(want, s.effects) {
		t.Fatalf("effects %v, want the next attempt and no alert", s.effects)
	}
	s.fails("shop", -1)
	s.passes("shop")
	s.expect(map[string]StepState{"shop": StepPassed, "unit": StepQueued})
	shop, _ := s.run.Step("shop")
	var states []AttemptState
	for _, a := range shop.Attempts {
		states = append(states, a.State)
	}
	if want := []AttemptState{AttemptFailed, AttemptFailed, AttemptPassed}; !cmp.Equal(want, states) {
		t.Fatalf("its attempts are %v", states)
	}
}

func TestAStepIsTriedNoMoreOftenThanItSays(t *testing.T) {
	s := startRetrying(t, Retry{Times: 1})
	s.fails("shop", 1)
	s.fails("shop", 1)
	s.expect(map[string]StepState{"shop": StepFailed, "unit": StepSkipped})
}

func TestOnlyTheExitCodesThatAreNamedAreTriedAgain(t *testing.T) {
	for _, exitCode := range []int{1, -1} {
		s := startRetrying(t, Retry{Times: 3, Codes: []int{75}})
		s.fails("shop", 75)
		s.expect(map[string]StepState{"shop": StepQueued})
		s.fails("shop", exitCode)
		s.expect(map[string]StepState{"shop": StepFailed})
	}
}

func TestLostWorkersAreNotCountedAsFailures(t *testing.T) {
	s := startRetrying(t, Retry{Times: 1, Lost: 1})
	s.happens(StepLeased{Step: "shop", Attempt: 1, Worker: "w1", At: s.now})
	s.happens(StepLost{Step: "shop", Attempt: 1, Reason: "lost", At: s.now})
	s.fails("shop", 1)
	s.expect(map[string]StepState{"shop": StepQueued})
	s.fails("shop", 1)
	s.expect(map[string]StepState{"shop": StepFailed})
}

func TestNothingIsTriedAgainInARunThatStopsOrCannotBegin(t *testing.T) {
	s := startRetrying(t, Retry{Times: 3})
	s.happens(StepLeased{Step: "shop", Attempt: 1, Worker: "w1", At: s.now})
	s.happens(CancelRequested{By: "ana", At: s.now})
	s.happens(StepReported{Step: "shop", Attempt: 1, Worker: "w1", State: AttemptFailed, ExitCode: 1, At: s.now})
	s.expect(map[string]StepState{"shop": StepFailed})
	s = startRetrying(t, Retry{Times: 3})
	s.happens(StepLeased{Step: "shop", Attempt: 1, Worker: "w1", At: s.now})
	s.happens(StepReported{Step: "shop", Attempt: 1, Worker: "w1", State: AttemptFailed, Unbegun: true, At: s.now})
	s.expect(map[string]StepState{"shop": StepFailed})
}

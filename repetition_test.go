package towpath

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// failedAt brings the shop's run to production, where its deployment fails.
func failedAt(t *testing.T, step string) Run {
	t.Helper()
	s := startStory(t, shopPipeline())
	now, _ := s.run.Step("shop")
	s.happens(StepLeased{Step: "shop", Attempt: 1, Worker: "w1", At: s.now})
	s.happens(StepReported{
		Step: "shop", Attempt: now.Attempt(), Worker: "w1", State: AttemptPassed, At: s.now,
		Outputs: map[string]string{"version": "2"}, Artifacts: []Artifact{{Step: "shop", Digest: "sha256:aa", Path: "dist/"}},
	})
	s.passes("lint")
	if step == "unit" {
		s.runsTo("unit", AttemptFailed)
		return s.run
	}
	s.passes("unit")
	s.happens(DeploymentBegan{Step: "staging", Deployment: "d1", Release: 3, At: s.now})
	s.happens(DeploymentEnded{Step: "staging", Deployment: "d1", State: DeploymentLive, At: s.now})
	s.happens(StepDecided{Step: "release", State: ApprovalApproved, At: s.now})
	s.happens(DeploymentBegan{Step: "production", Deployment: "d2", Release: 3, At: s.now})
	s.happens(DeploymentEnded{Step: "production", Deployment: "d2", State: DeploymentReturned, At: s.now})
	return s.run
}

// repeats begins a repetition of a run.
func repeats(t *testing.T, r Run, what Again) *story {
	t.Helper()
	made, err := r.Repeat(NewRun("run-2", r.Project, 9, r.Plan(), r.Change), what)
	if err != nil {
		t.Fatal(err)
	}
	s := &story{t: t, run: made, now: epochStart}
	s.happens(RunStarted{At: s.now})
	return s
}

func TestWhatFailedIsRunAgainOnWhatPassed(t *testing.T) {
	s := repeats(t, failedAt(t, "unit"), Again{Failed: true})
	s.expect(map[string]StepState{"shop": StepPassed, "lint": StepPassed, "unit": StepQueued, "staging": StepPending})
	shop, _ := s.run.Step("shop")
	if shop.From != 7 || shop.Outputs["version"] != "2" || len(shop.Artifacts) != 1 || len(shop.Attempts) > 0 {
		t.Fatalf("what was taken over is %+v", shop)
	}
	if s.run.Repeats.Number != 7 || s.run.Order() != 7 || s.run.IsPartial() {
		t.Fatalf("it repeats %+v", s.run.Repeats)
	}
	s.passes("unit")
	s.expect(map[string]StepState{"staging": StepWaiting})
}

func TestAnApprovalIsNeverTakenOver(t *testing.T) {
	for _, what := range []Again{{Failed: true}, {Step: "production"}, {From: "production"}} {
		s := repeats(t, failedAt(t, "production"), what)
		s.expect(map[string]StepState{"staging": StepPassed, "release": StepWaiting, "production": StepPending})
		s.happens(StepDecided{Step: "release", State: ApprovalApproved, At: s.now})
		s.expect(map[string]StepState{"production": StepWaiting})
	}
}

func TestWhatStandsBehindAnApprovalWaitsForItThoughAStepBetweenHasPassed(t *testing.T) {
	p := shopPipeline()
	p.Steps = append(p.Steps[:5:5],
		StepDefinition{Name: "check", Kind: KindTest, Needs: []string{"release"}, When: WhenPassed, Script: &ScriptDefinition{}},
		StepDefinition{Name: "production", Kind: KindDeploy, Needs: []string{"check"}, When: WhenPassed, Deploy: "production"})
	s := startStory(t, p)
	for _, step := range []string{"shop", "unit", "lint"} {
		s.passes(step)
	}
	s.happens(DeploymentEnded{Step: "staging", State: DeploymentLive, At: s.now})
	s.happens(StepDecided{Step: "release", State: ApprovalApproved, At: s.now})
	s.passes("check")
	s.happens(DeploymentEnded{Step: "production", State: DeploymentRefused, At: s.now})
	again := repeats(t, s.run, Again{Failed: true})
	again.expect(map[string]StepState{"check": StepPassed, "release": StepWaiting, "production": StepPending})
	again.happens(StepDecided{Step: "release", State: ApprovalRejected, At: again.now})
	again.expect(map[string]StepState{"production": StepSkipped})
}

func TestAStepAloneLeavesTheOthersOutAndSaysNothingOfThePipeline(t *testing.T) {
	s := repeats(t, failedAt(t, "unit"), Again{Step: "unit"})
	s.expect(map[string]StepState{"shop": StepPassed, "lint": StepPassed, "unit": StepQueued, "staging": StepSkipped, "production": StepSkipped})
	s.passes("unit")
	if want := []Effect{StartNext{Run: "run-2"}}; s.run.State != RunPassed || !cmp.Equal(want, s.effects) {
		t.Fatalf("the run is %s with effects %v, want nobody told and nothing started", s.run.State, s.effects)
	}
}

func TestARepetitionIsRefusedWithItsReason(t *testing.T) {
	running := startStory(t, shopPipeline()).run
	failed := failedAt(t, "unit")
	passed := repeats(t, failed, Again{Step: "unit"})
	passed.passes("unit")
	for _, c := range []struct {
		of   Run
		what Again
		code Code
	}{
		{running, Again{}, CodeConflict},
		{failed, Again{Step: "nowhere"}, CodeNotFound},
		{failed, Again{Step: "unit", From: "shop"}, CodeInvalid},
		{failed, Again{Failed: true, From: "shop"}, CodeInvalid},
		{failed, Again{Step: "staging"}, CodeConflict}, // it needs unit, which failed
		{failed, Again{From: "production"}, CodeConflict},
	} {
		_, err := c.of.Repeat(NewRun("run-2", "p", 9, c.of.Plan(), c.of.Change), c.what)
		if CodeOf(err) != c.code {
			t.Errorf("%+v of a run that is %s: %v, want %s", c.what, c.of.State, err, c.code)
		}
	}
}

// TestARepetitionKeepsThePromisesOfARun repeats parts of random runs, and throws every event at them.
func TestARepetitionKeepsThePromisesOfARun(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		first := NewRun("r", "p", 5, drawPipeline(t), Change{Branch: "main"})
		now := epochStart
		for range rapid.IntRange(0, 60).Draw(t, "events") {
			first, _ = first.Next(drawRunEvent(t, first, now))
		}
		step := rapid.SampledFrom(first.Steps).Draw(t, "step").Name
		what := rapid.SampledFrom([]Again{{}, {Failed: true}, {Step: step}, {From: step}}).Draw(t, "again")
		run, err := first.Repeat(NewRun("s", "p", 6, first.Plan(), first.Change), what)
		if err != nil {
			if CodeOf(err) != CodeConflict {
				t.Fatalf("%+v is refused as %s: %v", what, CodeOf(err), err)
			}
			return
		}
		checkTakenOver(t, first, run)
		for range rapid.IntRange(0, 60).Draw(t, "events of the repetition") {
			event := drawRunEvent(t, run, now)
			next, effects := run.Next(event)
			checkRunStep(t, run, next, effects, event, run.Refuses(event) != nil)
			run = next
		}
		finishRun(t, run, now)
	})
}

// checkTakenOver holds that only what passed is taken over, never an approval, and that what is behind one waits for it.
func checkTakenOver(t *rapid.T, of, run Run) {
	for _, s := range run.Steps {
		before, _ := of.Step(s.Name)
		switch {
		case s.State == StepPassed && (before.State != StepPassed || s.Kind == KindApprove || s.From == 0):
			t.Fatalf("%s %s has passed, which was %s", s.Kind, s.Name, before.State)
		case s.State != StepPending || s.Excluded != "":
			continue
		}
		for _, gate := range run.Behind(s.Name) {
			if gate.Kind == KindApprove && gate.State != StepPending {
				t.Fatalf("%s is run again behind %s, which is %s", s.Name, gate.Name, fmt.Sprint(gate.State))
			}
			if gate.Kind == KindApprove && run.Repeats != nil && gate.Excluded == "" && !slices.Contains(s.Needs, gate.Name) && hasEndedBetween(run, s, gate) {
				t.Fatalf("%s could begin before %s is decided", s.Name, gate.Name)
			}
		}
	}
}

// hasEndedBetween says that everything that a step needs has ended.
func hasEndedBetween(run Run, s, gate Step) bool {
	return !slices.ContainsFunc(s.Needs, func(name string) bool {
		need, _ := run.Step(name)
		return !need.State.IsFinal() || name == gate.Name
	})
}

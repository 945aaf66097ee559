package towpath

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

var epochStart = time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)

// shopPipeline is the usual case: two tests side by side, a gate, two environments.
func shopPipeline() Pipeline {
	script := func(name string, kind StepKind, needs ...string) StepDefinition {
		d := StepDefinition{Name: name, Kind: kind, Needs: needs, When: WhenPassed, Script: &ScriptDefinition{Run: "true"}}
		d.Script.Retry.Lost = MaxLost
		return d
	}
	build := script("shop", KindBuild)
	build.Script.Artifacts = []string{"dist/"}
	return Pipeline{
		Name: "shop", Concurrency: ConcurrencySupersede,
		Steps: []StepDefinition{
			build,
			script("unit", KindTest, "shop"),
			script("lint", KindTest, "shop"),
			{Name: "staging", Kind: KindDeploy, Needs: []string{"unit", "lint"}, When: WhenPassed, Deploy: "staging"},
			{Name: "release", Kind: KindApprove, Needs: []string{"staging"}, When: WhenPassed, Approve: &ApproveDefinition{Count: 1}},
			{Name: "production", Kind: KindDeploy, Needs: []string{"release"}, When: WhenPassed, Deploy: "production"},
		},
	}
}

// story applies events to a run, one a second, and fails when one is refused.
type story struct {
	t       *testing.T
	run     Run
	effects []Effect
	now     time.Time
}

func startStory(t *testing.T, p Pipeline) *story {
	t.Helper()
	s := &story{t: t, run: NewRun("run-1", "project-1", 7, p, Change{Branch: "main"}), now: epochStart}
	s.happens(RunStarted{At: s.now})
	return s
}

func (s *story) happens(e RunEvent) {
	s.t.Helper()
	if err := s.run.Refuses(e); err != nil {
		s.t.Fatalf("%#v was refused: %v", e, err)
	}
	s.run, s.effects = s.run.Next(e)
	s.now = s.now.Add(time.Second)
}

func (s *story) refuses(e RunEvent, code Code) {
	s.t.Helper()
	before := s.run
	after, effects := s.run.Next(e)
	if CodeOf(s.run.Refuses(e)) != code || len(effects) > 0 || !cmp.Equal(before, after) {
		s.t.Fatalf("%#v: want it refused as %s and nothing changed, got %v", e, code, s.run.Refuses(e))
	}
}

func (s *story) passes(step string) {
	s.t.Helper()
	s.runsTo(step, AttemptPassed)
}

func (s *story) runsTo(step string, state AttemptState) {
	s.t.Helper()
	now, _ := s.run.Step(step)
	s.happens(StepLeased{Step: step, Attempt: now.Attempt(), Worker: "w1", At: s.now})
	s.happens(StepReported{Step: step, Attempt: now.Attempt(), Worker: "w1", State: state, At: s.now})
}

func (s *story) expect(states map[string]StepState) {
	s.t.Helper()
	got := map[string]StepState{}
	for name := range states {
		step, _ := s.run.Step(name)
		got[name] = step.State
	}
	if d := cmp.Diff(states, got); d != "" {
		s.t.Fatalf("states (-want +got):\n%s", d)
	}
}

func TestAPushReachesProductionStepByStep(t *testing.T) {
	s := startStory(t, shopPipeline())
	s.expect(map[string]StepState{"shop": StepQueued, "unit": StepPending})
	s.passes("shop")
	s.expect(map[string]StepState{"unit": StepQueued, "lint": StepQueued, "staging": StepPending})
	s.passes("unit")
	s.passes("lint")
	s.expect(map[string]StepState{"staging": StepWaiting})
	if !slices.Contains(s.effects, Effect(RequestDeployment{Run: "run-1", Step: "staging"})) {
		t.Fatalf("effects %v do not ask for the deployment", s.effects)
	}
	s.happens(DeploymentBegan{Step: "staging", Deployment: "d1", Release: 3, At: s.now})
	s.happens(DeploymentEnded{Step: "staging", Deployment: "d1", State: DeploymentLive, At: s.now})
	s.expect(map[string]StepState{"staging": StepPassed, "release": StepWaiting})
	s.happens(StepDecided{Step: "release", State: ApprovalApproved, Reason: "approved by ana", At: s.now})
	s.happens(DeploymentBegan{Step: "production", Deployment: "d2", Release: 3, At: s.now})
	s.happens(DeploymentEnded{Step: "production", Deployment: "d2", State: DeploymentLive, At: s.now})
	if s.run.State != RunPassed {
		t.Fatalf("run is %s, want passed", s.run.State)
	}
}

func TestAFailedTestStopsTheRunAndIsToldAtOnce(t *testing.T) {
	s := startStory(t, shopPipeline())
	s.passes("shop")
	s.runsTo("unit", AttemptFailed)
	if want := []Effect{AnnounceRun{Run: "run-1", State: RunFailed, Step: "unit"}}; !cmp.Equal(want, s.effects) {
		t.Fatalf("effects %v, want the alert while lint still runs", s.effects)
	}
	s.passes("lint")
	s.expect(map[string]StepState{"staging": StepSkipped, "release": StepSkipped, "production": StepSkipped})
	if s.run.State != RunFailed || s.run.Reason != "unit failed" {
		t.Fatalf("run is %s (%s)", s.run.State, s.run.Reason)
	}
}

func TestALostBuildRunsAgainAndItsOldWorkerIsRefused(t *testing.T) {
	s := startStory(t, shopPipeline())
	s.happens(StepLeased{Step: "shop", Attempt: 1, Worker: "w1", At: s.now})
	s.happens(StepLost{Step: "shop", Attempt: 1, Reason: "w1 was not heard of for 15 s", At: s.now})
	s.expect(map[string]StepState{"shop": StepQueued})
	s.happens(StepLeased{Step: "shop", Attempt: 2, Worker: "w2", At: s.now})
	s.refuses(StepReported{Step: "shop", Attempt: 1, Worker: "w1", State: AttemptPassed, At: s.now}, CodeStale)
	s.refuses(StepReported{Step: "shop", Attempt: 2, Worker: "w1", State: AttemptPassed, At: s.now}, CodeStale)
	s.happens(StepReported{Step: "shop", Attempt: 2, Worker: "w2", State: AttemptPassed, At: s.now})
}

func TestALostScriptThatMayHaveHadEffectsIsNotRepeated(t *testing.T) {
	p := shopPipeline()
	p.Steps[0].Kind, p.Steps[0].Script.Retry.Lost = KindRun, 0
	s := startStory(t, p)
	s.happens(StepLeased{Step: "shop", Attempt: 1, Worker: "w1", At: s.now})
	s.happens(StepLost{Step: "shop", Attempt: 1, Reason: "lost", At: s.now})
	s.expect(map[string]StepState{"shop": StepFailed, "unit": StepSkipped})
}

func TestCancellingNeverCutsADeployment(t *testing.T) {
	s := startStory(t, shopPipeline())
	s.passes("shop")
	s.passes("unit")
	s.passes("lint")
	s.happens(DeploymentBegan{Step: "staging", Deployment: "d1", Release: 3, At: s.now})
	s.refuses(Superseded{Gate: "staging", By: 8, At: s.now}, CodeConflict)
	s.happens(CancelRequested{By: "ana", At: s.now})
	s.expect(map[string]StepState{"staging": StepRunning, "production": StepCanceled})
	s.happens(DeploymentEnded{Step: "staging", Deployment: "d1", State: DeploymentLive, At: s.now})
	if s.run.State != RunCanceled {
		t.Fatalf("run is %s, want canceled", s.run.State)
	}
}

func TestANewerRunSupersedesOneThatWaitsAtTheSameGate(t *testing.T) {
	s := startStory(t, shopPipeline())
	s.passes("shop")
	s.passes("unit")
	s.passes("lint")
	s.refuses(Superseded{Gate: "staging", By: 7, At: s.now}, CodeStale)
	s.happens(Superseded{Gate: "staging", By: 8, At: s.now})
	if want := []Effect{WithdrawDeployment{Run: "run-1", Step: "staging"}}; !cmp.Equal(want, s.effects) {
		t.Fatalf("effects %v, want the deployment asked back", s.effects)
	}
	s.happens(DeploymentEnded{Step: "staging", Deployment: "d1", State: DeploymentWithdrawn, At: s.now})
	if s.run.State != RunSuperseded {
		t.Fatalf("run is %s, want superseded", s.run.State)
	}
}

func TestARunStoppedAsItsDeploymentBeginsGoesOnToTheEndOfThat(t *testing.T) {
	s := startStory(t, shopPipeline())
	s.passes("shop")
	s.passes("unit")
	s.passes("lint")
	s.happens(CancelRequested{By: "ana", At: s.now}) // the environment has begun, and was not heard yet
	s.happens(DeploymentBegan{Step: "staging", Deployment: "d1", Release: 3, At: s.now})
	s.expect(map[string]StepState{"staging": StepRunning, "production": StepCanceled})
	s.happens(DeploymentEnded{Step: "staging", Deployment: "d1", State: DeploymentReturned, At: s.now})
	s.expect(map[string]StepState{"staging": StepFailed})
	if s.run.State != RunCanceled {
		t.Fatalf("run is %s, want canceled", s.run.State)
	}
}

func TestStepsRunAfterFailureOnlyIfTheySaySo(t *testing.T) {
	p := shopPipeline()
	clean := func(name string, when Condition) StepDefinition {
		return StepDefinition{Name: name, Kind: KindRun, Needs: []string{"unit"}, When: when, Script: &ScriptDefinition{}}
	}
	p.Steps = append(p.Steps[:3], clean("report", WhenAlways), clean("mend", WhenFailed), clean("next", WhenPassed))
	s := startStory(t, p)
	s.passes("shop")
	s.runsTo("unit", AttemptFailed)
	s.expect(map[string]StepState{"report": StepQueued, "mend": StepQueued, "next": StepSkipped})
	s = startStory(t, p)
	s.passes("shop")
	s.passes("unit")
	s.expect(map[string]StepState{"report": StepQueued, "mend": StepSkipped, "next": StepQueued})
}

func TestAnExcludedStepCountsAsPassedUnlessItsArtifactsAreNeeded(t *testing.T) {
	p := shopPipeline()
	p.Steps[0].Excluded = `branch == "main" is false`
	s := startStory(t, p)
	s.expect(map[string]StepState{"shop": StepSkipped, "unit": StepQueued})
	p.Steps[1].Script.Uses = []string{"shop"}
	s = startStory(t, p)
	s.passes("lint")
	s.expect(map[string]StepState{"unit": StepSkipped, "staging": StepSkipped})
}

// TestRunsKeepTheirPromisesInEveryOrder throws every event at random pipelines, twice, late and out of order.
func TestRunsKeepTheirPromisesInEveryOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		run := NewRun("r", "p", 5, drawPipeline(t), Change{Branch: "main"})
		done := map[string]bool{}
		now := epochStart
		for range rapid.IntRange(0, 120).Draw(t, "events") {
			now = now.Add(time.Second)
			event := drawRunEvent(t, run, now)
			before := snapshot(t, run)
			refused := run.Refuses(event) != nil
			next, effects := run.Next(event)
			if snapshot(t, run) != before {
				t.Fatalf("Next changed the run that it was called on")
			}
			checkRunStep(t, run, next, effects, event, refused)
			for _, e := range effects {
				if done[e.Key()] {
					t.Fatalf("effect %s came twice", e.Key())
				}
				done[e.Key()] = true
			}
			if again, effects := next.Next(event); len(effects) > 0 || snapshot(t, again) != snapshot(t, next) {
				t.Fatalf("%#v had an effect a second time", event)
			}
			run = next
		}
		finishRun(t, run, now)
	})
}

// checkRunStep holds what must be true of any step from one state of a run to the next.
func checkRunStep(t *rapid.T, before, after Run, effects []Effect, event RunEvent, refused bool) {
	if refused && (len(effects) > 0 || snapshot(t, before) != snapshot(t, after)) {
		t.Fatalf("a refused event had an effect")
	}
	for i, was := range before.Steps {
		is := after.Steps[i]
		switch {
		case was.State.IsFinal() && was.State != is.State:
			t.Fatalf("%s went from %s to %s", was.Name, was.State, is.State)
		case is.Attempt() < was.Attempt():
			t.Fatalf("%s lost an attempt", is.Name)
		case !slices.Contains(StepStates, is.State):
			t.Fatalf("%s has the unknown state %q", is.Name, is.State)
		}
		if is.Kind == KindDeploy && was.State != is.State {
			checkWholeDeployment(t, was, is, event)
		}
		if was.State != is.State && is.State == StepFailed {
			checkGivenUp(t, before, is, event)
		}
		if is.Script != nil && is.count(AttemptFailed) > is.Script.Retry.Times+1 {
			t.Fatalf("%s failed %d times, which is to survive %d", is.Name, is.count(AttemptFailed), is.Script.Retry.Times)
		}
		for _, need := range is.Needs {
			n, _ := after.Step(need)
			if is.State != was.State && is.State != StepCanceled && !n.State.IsFinal() {
				t.Fatalf("%s is %s before %s has ended", is.Name, is.State, need)
			}
		}
	}
	if after.State == RunWaiting && slices.ContainsFunc(after.Steps, func(s Step) bool { return s.State != StepPending && !s.State.IsFinal() }) {
		t.Fatalf("a run that waits for run %d has begun", after.WaitsFor)
	}
	if (after.State == RunWaiting) != (after.WaitsFor > 0) {
		t.Fatalf("the run is %s, and waits for run %d", after.State, after.WaitsFor)
	}
	open := slices.ContainsFunc(after.Steps, func(s Step) bool { return !s.State.IsFinal() })
	if !after.CreatedAt.IsZero() && open == after.State.IsFinal() {
		t.Fatalf("the run is %s while steps being open is %t", after.State, open)
	}
}

// checkWholeDeployment holds that a deployment which an environment was asked for ends only by the environment's word,
// whatever becomes of its run: it is never half canceled.
func checkWholeDeployment(t *rapid.T, before, is Step, event RunEvent) {
	if before.State != StepWaiting && before.State != StepRunning {
		return
	}
	switch event.(type) {
	case DeploymentBegan, DeploymentEnded:
	default:
		t.Fatalf("deployment %s went from %s to %s by %#v", is.Name, before.State, is.State, event)
	}
}

// checkGivenUp holds that a step does not fail by an attempt that another was to follow. No attempt follows where no
// worker can run it.
func checkGivenUp(t *rapid.T, before Run, is Step, event RunEvent) {
	if _, isUnclaimed := event.(StepUnclaimed); isUnclaimed || is.Script == nil || is.last().State != AttemptFailed || before.Stopping != "" {
		return
	}
	retry, last := is.Script.Retry, is.last()
	isCovered := len(retry.Codes) == 0 || slices.Contains(retry.Codes, last.ExitCode)
	if isCovered && is.count(AttemptFailed) <= retry.Times && last.Reason != unbegun {
		t.Fatalf("%s failed for good after %d of %d failures", is.Name, is.count(AttemptFailed), retry.Times+1)
	}
}

// unbegun is the reason of attempts that could not be begun.
const unbegun = "its secret was not granted"

// finishRun gives everything that waits an outcome, and expects the run to end.
func finishRun(t *rapid.T, run Run, now time.Time) {
	run, _ = run.Next(RunStarted{At: now})
	run, _ = run.Next(LineMoved{At: now})
	for range 4 * len(run.Steps) {
		for _, s := range run.Steps {
			for _, e := range outcomes(s, now) {
				run, _ = run.Next(e)
			}
		}
	}
	if !run.State.IsFinal() {
		t.Fatalf("the run hangs: %+v", run.Steps)
	}
}

func outcomes(s Step, at time.Time) []RunEvent {
	switch s.Kind {
	case KindApprove:
		return []RunEvent{StepDecided{Step: s.Name, State: ApprovalApproved, At: at}}
	case KindDeploy:
		return []RunEvent{DeploymentEnded{Step: s.Name, State: DeploymentLive, At: at}}
	}
	worker := "w"
	if s.Attempt() > 0 && s.last().Worker != "" {
		worker = s.last().Worker
	}
	return []RunEvent{
		StepLeased{Step: s.Name, Attempt: s.Attempt(), Worker: worker, At: at},
		StepReported{Step: s.Name, Attempt: s.Attempt(), Worker: worker, State: AttemptPassed, At: at},
	}
}

func drawPipeline(t *rapid.T) Pipeline {
	kinds := []StepKind{KindBuild, KindTest, KindRun, KindApprove, KindDeploy}
	p := Pipeline{Concurrency: rapid.SampledFrom([]Concurrency{ConcurrencySupersede, ConcurrencyQueue, ConcurrencyParallel}).Draw(t, "concurrency")}
	for i := range rapid.IntRange(1, 7).Draw(t, "steps") {
		d := StepDefinition{Name: fmt.Sprint("s", i), Kind: rapid.SampledFrom(kinds).Draw(t, "kind")}
		d.When = rapid.SampledFrom([]Condition{WhenPassed, WhenPassed, WhenAlways, WhenFailed}).Draw(t, "when")
		if rapid.IntRange(0, 5).Draw(t, "excluded") == 0 {
			d.Excluded = "its expression is false"
		}
		for j := range i {
			if rapid.Bool().Draw(t, "need") {
				d.Needs = append(d.Needs, fmt.Sprint("s", j))
			}
		}
		if d.Kind.IsScript() {
			d.Script = &ScriptDefinition{Artifacts: []string{"out"}, Uses: d.Needs, Retry: drawRetry(t)}
		}
		p.Steps = append(p.Steps, d)
	}
	return p
}

func drawRetry(t *rapid.T) Retry {
	return Retry{
		Lost:  rapid.IntRange(0, 2).Draw(t, "lost"),
		Times: rapid.IntRange(0, 2).Draw(t, "times"),
		Codes: rapid.SampledFrom([][]int{nil, nil, {1}, {2, 75}}).Draw(t, "codes"),
	}
}

func drawRunEvent(t *rapid.T, run Run, at time.Time) RunEvent {
	step := rapid.SampledFrom(run.Steps).Draw(t, "step")
	attempt := step.Attempt() - rapid.IntRange(0, 1).Draw(t, "late")
	worker := rapid.SampledFrom([]string{"w1", "w1", "w2"}).Draw(t, "worker")
	state := rapid.SampledFrom([]AttemptState{AttemptPassed, AttemptPassed, AttemptFailed, AttemptCanceled, AttemptLost}).Draw(t, "state")
	decided := rapid.SampledFrom(ApprovalStates).Draw(t, "decided")
	ended := rapid.SampledFrom(DeploymentStates).Draw(t, "ended")
	leased := StepLeased{Step: step.Name, Attempt: attempt, Worker: worker, At: at}
	reported := StepReported{
		Step: step.Name, Attempt: attempt, Worker: worker, State: state, At: at,
		ExitCode: rapid.SampledFrom([]int{1, 75, -1}).Draw(t, "exit code"),
	}
	if rapid.IntRange(0, 9).Draw(t, "unbegun") == 0 {
		reported.Unbegun, reported.Reason = true, unbegun
	}
	return rapid.SampledFrom([]RunEvent{
		RunStarted{Behind: rapid.IntRange(0, 2).Draw(t, "behind"), At: at},
		LineMoved{Behind: rapid.IntRange(0, 2).Draw(t, "still behind"), At: at},
		leased, leased, leased, reported, reported, reported,
		StepLost{Step: step.Name, Attempt: attempt, At: at},
		StepUnclaimed{Step: step.Name, Attempt: attempt, Reason: "no worker has os=plan9", At: at},
		StepDecided{Step: step.Name, State: decided, At: at},
		DeploymentBegan{Step: step.Name, Deployment: "d", Release: 1, At: at},
		DeploymentEnded{Step: step.Name, Deployment: "d", State: ended, At: at},
		CancelRequested{By: "ana", At: at},
		Superseded{Gate: step.Name, By: rapid.IntRange(4, 7).Draw(t, "by"), At: at},
	}).Draw(t, "event")
}

func snapshot(t interface{ Fatalf(string, ...any) }, v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatalf("%v", err)
	}
	return string(b)
}

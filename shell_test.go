package towpath

import (
	"slices"
	"testing"
	"time"
)

func TestAShellStandsInThePlaceOfAScriptAndSaysNothingOfThePipeline(t *testing.T) {
	failed := failedAt(t, "unit")
	made, err := failed.Repeat(NewRun("run-2", failed.Project, 9, failed.Plan(), failed.Change), Again{Step: "unit"})
	if err != nil {
		t.Fatal(err)
	}
	shell := Shell{Step: "unit", By: "ana", Idle: time.Minute, Limit: time.Hour}
	if made, err = made.WithShell(shell, ShellsAlways); err != nil {
		t.Fatal(err)
	}
	unit, _ := made.Step("unit")
	if made.Concurrency != ConcurrencyParallel || unit.Script.Timeout != time.Hour || unit.Script.Retry.Lost != 0 || *made.Shell != shell {
		t.Errorf("%+v, %+v", made, unit.Script)
	}
	if before, _ := failed.Step("unit"); before.Script.Retry.Lost != MaxLost {
		t.Error("the run that it repeats has changed")
	}
	for state, want := range map[AttemptState]StepState{AttemptPassed: StepPassed, AttemptFailed: StepFailed, AttemptCanceled: StepCanceled} {
		s := &story{t: t, run: made, now: epochStart}
		s.happens(RunStarted{At: s.now})
		s.runsTo("unit", state)
		s.expect(map[string]StepState{"unit": want, "shop": StepPassed, "staging": StepSkipped})
		told := slices.ContainsFunc(s.effects, func(e Effect) bool {
			switch e.(type) {
			case AnnounceRun, StartDownstream:
				return true
			}
			return false
		})
		if s.run.State != RunCanceled || s.run.Reason != "a debug shell stood in the place of unit" || told {
			t.Errorf("%s: the run is %s (%s), with %v", state, s.run.State, s.run.Reason, s.effects)
		}
	}
	s := &story{t: t, run: made, now: epochStart}
	s.happens(RunStarted{At: s.now})
	s.happens(StepLeased{Step: "unit", Attempt: 1, Worker: "w1", At: s.now})
	s.happens(StepLost{Step: "unit", Attempt: 1, Reason: "lost", At: s.now})
	s.expect(map[string]StepState{"unit": StepFailed})
}

func TestAShellIsOpenedOnlyWhereThePolicyAllows(t *testing.T) {
	run := NewRun("run-1", "project-1", 7, shopPipeline(), Change{Branch: "idea"})
	run.Steps = append(run.Steps, Step{StepDefinition: StepDefinition{
		Name: "smoke", Kind: KindTest, Needs: []string{"production"}, Script: &ScriptDefinition{Run: "true"},
	}})
	protected, fork := run, run
	protected.Change = Change{Branch: "main", Trusted: true}
	fork.Change.Request = &PullRequest{Number: 7, Fork: true}
	for _, c := range []struct {
		what   string
		run    Run
		step   string
		policy ShellPolicy
		want   Code
	}{
		{"a branch", run, "unit", ShellsUnprotected, ""},
		{"a protected branch", protected, "unit", ShellsUnprotected, CodeForbidden},
		{"a protected branch, where that is allowed", protected, "unit", ShellsAlways, ""},
		{"behind a deployment", run, "smoke", ShellsUnprotected, CodeForbidden},
		{"behind a deployment, where that is allowed", run, "smoke", ShellsAlways, ""},
		{"a fork", fork, "unit", ShellsAlways, CodeForbidden},
		{"where there are none", run, "unit", ShellsNever, CodeForbidden},
		{"where nothing is said", run, "unit", "", CodeForbidden},
		{"no step", run, "other", ShellsAlways, CodeNotFound},
		{"a deployment", run, "staging", ShellsAlways, CodeInvalid},
		{"an approval", run, "release", ShellsAlways, CodeInvalid},
	} {
		_, err := c.run.WithShell(Shell{Step: c.step, By: "ana"}, c.policy)
		if err == nil && c.want != "" || err != nil && CodeOf(err) != c.want {
			t.Errorf("%s: %v, want %q", c.what, err, c.want)
		}
	}
}

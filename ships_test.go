package towpath

import (
	"testing"
	"time"
)

func TestADeploymentIsSkippedWhereWhatItShipsWasNotBuilt(t *testing.T) {
	at := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	run := NewRun("r", "p", 1, Pipeline{Name: "shop", Steps: []StepDefinition{
		{Name: "docs", Kind: KindBuild, Excluded: "no docs changed", Script: &ScriptDefinition{Artifacts: []string{"site/"}}},
		{Name: "staging", Kind: KindDeploy, Needs: []string{"docs"}, Deploy: "staging", When: WhenPassed, Ships: []string{"docs"}},
		{Name: "smoke", Kind: KindTest, Needs: []string{"staging"}, When: WhenPassed, Script: &ScriptDefinition{}},
	}}, Change{})
	run, _ = run.Next(RunStarted{At: at})
	for _, name := range []string{"docs", "staging", "smoke"} {
		if s, _ := run.Step(name); s.State != StepSkipped {
			t.Errorf("%s is %s (%s), want skipped", name, s.State, s.Reason)
		}
	}
	if staging, _ := run.Step("staging"); staging.Reason != "docs was skipped, so its artifacts are missing" {
		t.Errorf("reason: %s", staging.Reason)
	}
}

package towpath

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestWhatADeploymentChangedIsToldWithoutTheValuesOfVariables(t *testing.T) {
	before := EnvironmentDefinition{
		Name: "production", Line: 4, Instances: 2, Env: map[string]string{"PASSWORD": "hunter2"},
		Strategy: StrategyDefinition{Kind: StrategyBlueGreen, Standby: time.Hour}, Secrets: []string{"DATABASE_URL"},
		Hooks: HooksDefinition{Before: "./warm.sh"},
	}
	after := before
	after.Line, after.Instances, after.Env = 9, 3, map[string]string{"PASSWORD": "hunter3"}
	after.Strategy.Standby, after.Secrets, after.Hooks = 30*time.Minute, []string{"DATABASE_URL", "TOKEN"}, HooksDefinition{After: strings.Repeat("x", 500)}
	want := []Setting{
		{Name: "Hooks.After", After: strings.Repeat("x", 199) + "…", How: "added"},
		{Name: "Hooks.Before", Before: "./warm.sh", How: "removed"},
		{Name: "Instances", Before: "2", After: "3", How: "changed"},
		{Name: "Secrets[1]", After: "TOKEN", How: "added"},
		{Name: "Strategy.Standby", Before: "1h0m0s", After: "30m0s", How: "changed"},
	}
	if diff := cmp.Diff(want, after.Differences(before)); diff != "" {
		t.Error(diff)
	}
	if none := before.Differences(before); none != nil {
		t.Errorf("nothing is told as %+v", none)
	}
	variables := VariablesChanged(map[string]string{"A": "1", "PASSWORD": "hunter2", "OLD": ""}, map[string]string{"A": "1", "PASSWORD": "hunter3", "NEW": "x"})
	wanted := []Setting{{Name: "env NEW", How: "added"}, {Name: "env OLD", How: "removed"}, {Name: "env PASSWORD", How: "changed"}}
	if diff := cmp.Diff(wanted, variables); diff != "" {
		t.Error(diff)
	}
}

package deploy_test

import (
	"testing"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/deploy"
)

func TestWhatAFirstDeploymentThatWasRolledBackLeftIsTakenAway(t *testing.T) {
	w := newWorld(towpath.EnvironmentDefinition{Name: "production", Instances: 1, Drain: towpath.DrainDefinition{Requests: time.Second}})
	stray := towpath.Instance{ID: "r1-1", Release: 1, State: towpath.InstancePlaced, Traffic: towpath.Traffic{Known: true}}
	facts := func() deploy.Facts {
		return deploy.Facts{Environment: w.environment, Observed: towpath.Observation{Instances: []towpath.Instance{stray}}, Now: noon}
	}
	if plan := deploy.NewPlan(facts()); plan.Note == "" || len(plan.Steps) > 0 {
		t.Fatalf("nothing was ever deployed, and the plan is %+v", plan)
	}
	w.happens(towpath.DeploymentRequested{Deployment: towpath.Deployment{ID: "d1", Release: towpath.ReleaseRef{Number: 1, Change: 1}}, At: noon})
	w.happens(towpath.RollbackRequested{ID: "back", By: "ana", At: noon})
	w.happens(towpath.GoalReached{Deployment: "d1", Returning: true, At: noon})
	if plan := deploy.NewPlan(facts()); len(plan.Steps) == 0 {
		t.Errorf("a placing that came late is left behind: %+v", plan)
	}
}

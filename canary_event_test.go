package towpath_test

import (
	"testing"
	"time"

	. "github.com/towpath-cd/towpath"
)

func TestAPromotionLetsTheStepThatIsHeldGoOnOnce(t *testing.T) {
	at := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	e := NewEnvironment("p1", "shop", EnvironmentDefinition{Name: "production", Strategy: StrategyDefinition{
		Kind: StrategyCanary, Steps: []CanaryStep{{Share: 5, UntilPromoted: true}, {Share: 50, For: time.Minute}},
	}}, at)
	happens := func(event EnvironmentEvent, isFit bool) {
		t.Helper()
		if err := e.Refuses(event); (err == nil) != isFit {
			t.Fatalf("%+v: %v", event, err)
		}
		e, _ = e.Next(event)
	}
	begins := func(step int) StepBegan { return StepBegan{Deployment: "d1", Step: step, At: at} }
	promoted := Promoted{Deployment: "d1", By: "ana", At: at}

	happens(DeploymentRequested{Deployment: Deployment{ID: "d1", Release: ReleaseRef{Number: 1, Change: 1}}, At: at}, true)
	happens(promoted, false) // nothing has its share yet
	happens(begins(1), true) // nothing else serves: steps may be left out
	e.Deployment.CanaryStep, e.Deployment.StepAt = 0, time.Time{}
	happens(begins(0), true)
	happens(begins(0), false)
	happens(promoted, true)
	happens(promoted, false) // somebody else has clicked
	happens(begins(1), true)
	happens(Promoted{Deployment: "d1", Step: 1, By: "ben", At: at}, false) // he saw a page of the step before
	if d := e.Deployment; d.CanaryStep != 1 || !d.StepAt.Equal(at) || d.PromotedBy != "" {
		t.Errorf("the deployment is %+v", d)
	}
	happens(Promoted{Deployment: "d1", Step: 2, By: "ben", At: at}, true)
	happens(begins(3), false)
	happens(begins(2), true)
	happens(promoted, false) // all are over
	happens(StepBegan{Deployment: "d1", Step: 2, Epoch: Epoch{Number: 9}, At: at}, false)
}

func TestAStepThatBeganByAClockThatWasSetBackBeginsAnew(t *testing.T) {
	at := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	for name, tt := range map[string]struct{ began, wants time.Time }{
		"a day ahead":                {began: at.Add(24 * time.Hour), wants: at},
		"of a clock that is not set": {began: at.Add(time.Second), wants: at.Add(time.Second)},
		"before":                     {began: at.Add(-time.Hour), wants: at.Add(-time.Hour)},
		"not yet":                    {},
	} {
		t.Run(name, func(t *testing.T) {
			e := NewEnvironment("p1", "shop", EnvironmentDefinition{Name: "production", Strategy: StrategyDefinition{
				Kind: StrategyCanary, Steps: []CanaryStep{{Share: 5, For: time.Minute}},
			}}, at)
			e, _ = e.Next(DeploymentRequested{Deployment: Deployment{ID: "d1", Release: ReleaseRef{Number: 1, Change: 1}}, At: at})
			e.Deployment.StepAt = tt.began
			if e, _ = e.Next(TrafficObserved{At: at}); !e.Deployment.StepAt.Equal(tt.wants) {
				t.Errorf("it began at %s", e.Deployment.StepAt)
			}
		})
	}
}

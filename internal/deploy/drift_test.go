package deploy_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/deploy"
)

// handsAreLeftAlone is what an environment owes that reports drift: while nothing is deployed and enough serves, no share
// is taken from, or given to, what is well and was changed by hand.
func handsAreLeftAlone(w *world, o deploy.Operation, seen towpath.Observation) (func() error, error) {
	shift, is := o.(deploy.Shift)
	e := w.environment
	enough := w.capacity() >= max(1, min(w.definition().Minimum, w.definition().Instances))
	if !is || e.Definition.Drift != towpath.DriftReport || e.Deployment != nil || e.Goal != e.Live || !enough {
		return nothingMore, nil
	}
	for _, i := range seen.Instances {
		isWell := i.Health == towpath.HealthPassing && i.State == towpath.InstanceRunning
		if i.Traffic.ByHand && isWell && i.Traffic.Weight != shift.Weights[i.ID] {
			return nil, fmt.Errorf("%q changes %s, which has %d by hand", o, i.ID, i.Traffic.Weight)
		}
	}
	return nothingMore, nil
}

// byHand moves the traffic of one instance.
func (s *story) byHand(id string, weight int) *story {
	for n := range s.instances {
		if s.instances[n].ID == id {
			s.instances[n].Traffic.Weight, s.instances[n].Traffic.ByHand = weight, true
		}
	}
	return s
}

func TestWhatWasMovedByHandIsReportedOrMended(t *testing.T) {
	facts := shop().serves(release41).byHand("r41-1", 0).facts()
	facts.Environment.Definition.Minimum = 1
	plan := deploy.NewPlan(facts)
	if len(plan.Steps) > 0 || len(plan.Drift) != 1 || plan.Drift[0].Operation.String() != "shift to r41-1 100%, r41-2 100%" {
		t.Errorf("the plan is %q, the drift %q", words(plan.Steps), words(plan.Drift))
	}
	if told := deploy.NewForecast(facts).String(); !strings.Contains(told, "moved by hand, and is left so") || !strings.Contains(told, "r41-1 0% → 50%") {
		t.Errorf("people are told\n%s", told)
	}
	facts.Environment.Definition.Drift = towpath.DriftMend
	if plan := deploy.NewPlan(facts); len(plan.Steps) != 1 || len(plan.Drift) != 0 {
		t.Errorf("the plan is %q, the drift %q", words(plan.Steps), words(plan.Drift))
	}
}

func TestWhatWasMovedByHandIsMendedWhereNothingWouldServe(t *testing.T) {
	facts := shop().serves(release41).byHand("r41-1", 0).byHand("r41-2", 0).facts()
	if plan := deploy.NewPlan(facts); len(plan.Steps) != 1 {
		t.Errorf("the plan is %q", words(plan.Steps))
	}
}

func TestWhatIsHaltedTellsWhatItWouldDo(t *testing.T) {
	facts := shop().serves(release41).places(release42).facts()
	facts.Environment.Halted = "the disk is broken"
	plan := deploy.NewPlan(facts)
	if len(plan.Steps) > 0 || len(plan.Drift) == 0 {
		t.Errorf("the plan is %q, the drift %q", words(plan.Steps), words(plan.Drift))
	}
	if told := deploy.NewForecast(facts).String(); !strings.Contains(told, "halted until a person says so: the disk is broken; this would be done otherwise") {
		t.Errorf("people are told\n%s", told)
	}
}

package deploy_test

import (
	"maps"
	"slices"
	"testing"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/deploy"
)

// finds has somebody serve who was never deployed by us.
func (s *story) finds(address string) *story {
	s.instances = append(s.instances, towpath.Instance{
		ID: address, Address: address, State: towpath.InstanceGone, Health: towpath.HealthFailing,
		Traffic: towpath.Traffic{Known: true, Member: true, Weight: deploy.FullWeight},
	})
	return s
}

const legacySite = "192.0.2.99:80"

// Whoever served before the first deployment goes on until enough of ours serve, and is only forgotten then.
func TestWhoServedBeforeUsServesUntilEnoughOfOursDo(t *testing.T) {
	cases := map[string]*story{
		"rolling on hosts":     shop().onHosts(3).rolling(1, 0),
		"all at once on hosts": shop().onHosts(3).allAtOnceBalanced(),
		"rolling":              shop().rolling(1, 1),
		"blue-green":           shop(),
	}
	for name, s := range cases {
		t.Run(name, func(t *testing.T) {
			facts := s.finds(legacySite).wants(release41).facts()
			enough := max(1, facts.Environment.Definition.Minimum)
			for _, step := range deploy.NewPlan(facts).Steps {
				if slices.Contains(deploy.InstancesOf(step.Operation), legacySite) && isEnding(step.Operation) {
					t.Errorf("%s is nothing of ours: %s", legacySite, step.Operation)
				}
				shift, is := step.Operation.(deploy.Shift)
				if !is || shift.Weights[legacySite] > 0 {
					continue
				}
				if ours := len(slices.DeleteFunc(slices.Collect(maps.Values(shift.Weights)), func(w int) bool { return w == 0 })); ours < enough {
					t.Errorf("%d of ours serve in its place, and %d have to\n%s", ours, enough, deploy.NewForecast(facts))
				}
				return
			}
			t.Errorf("it serves for ever\n%s", deploy.NewForecast(facts))
		})
	}
}

func isEnding(o deploy.Operation) bool {
	switch o.(type) {
	case deploy.Stop, deploy.Remove, deploy.Start:
		return true
	}
	return false
}

func TestAFirstDeploymentThatFailsLeavesWhoServedBefore(t *testing.T) {
	facts := shop().onHosts(2).rolling(1, 0).finds(legacySite).wants(release41).places(release41).giveUp().facts()
	plan := deploy.NewPlan(facts)
	for _, step := range plan.Steps {
		if shift, is := step.Operation.(deploy.Shift); is && shift.Weights[legacySite] != deploy.FullWeight {
			t.Errorf("%s", step.Operation)
		}
	}
	last, is := plan.Steps[len(plan.Steps)-1].Operation.(deploy.Conclude)
	if !is {
		t.Errorf("it ends with %s, %v", last, plan.Steps)
	}
}

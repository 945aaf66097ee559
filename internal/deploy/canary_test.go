package deploy_test

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/deploy"
)

// stepsAreHeld is what a canary owes: while the old side serves, the new one has no greater share than that of the step
// whose time has come, and the release is not live before all of them are over.
func stepsAreHeld(w *world, o deploy.Operation, _ towpath.Observation) (func() error, error) {
	d, steps := w.environment.Deployment, w.definition().Strategy.Steps
	if d == nil || d.State != towpath.DeploymentRunning || d.Cause == towpath.CauseRollback ||
		d.Release.Number == w.environment.Live.Number || w.definition().Strategy.Kind != towpath.StrategyCanary {
		return nothingMore, nil
	}
	due := d.CanaryStep
	if due < len(steps) && !d.StepAt.IsZero() {
		isOver := !steps[due].UntilPromoted && !w.now.Before(d.StepAt.Add(steps[due].For))
		if isOver || !d.PromotedAt.IsZero() {
			due++
		}
	}
	oldServes := w.weightOf(w.environment.Live.Number) > 0
	if _, concludes := o.(deploy.Conclude); concludes && d.CanaryStep < len(steps) {
		return nil, fmt.Errorf("%q at step %d of %d", o, d.CanaryStep, len(steps))
	}
	return func() error {
		fresh, old := w.weightOf(d.Release.Number), w.weightOf(w.environment.Live.Number)
		shift, shifts := o.(deploy.Shift)
		if !shifts || !oldServes || due >= len(steps) || !w.concerns(shift, d.Release.Number) {
			return nil // or the old side makes room for it
		}
		if share := 100 * fresh / max(1, fresh+old); fresh == 0 || share > steps[due].Share+2 {
			return fmt.Errorf("release %d has %d%% in step %d, which is of %d%%", d.Release.Number, share, due, steps[due].Share)
		}
		return nil
	}, nil
}

// concerns says that a shift names instances of a release.
func (w *world) concerns(shift deploy.Shift, release int) bool {
	for id := range shift.Weights {
		if releaseOf(id) == release {
			return true
		}
	}
	return false
}

// weightOf adds up the shares of a release.
func (w *world) weightOf(release int) (sum int) {
	for id, m := range w.members {
		if releaseOf(id) == release {
			sum += m.weight
		}
	}
	return sum
}

// canary gives the shop steps.
func (s *story) canary(steps ...towpath.CanaryStep) *story {
	s.environment.Definition.Strategy = towpath.StrategyDefinition{
		Kind: towpath.StrategyCanary, Standby: time.Hour, Sticky: true, Steps: steps,
	}
	return s
}

var threeSteps = []towpath.CanaryStep{{Share: 5, For: 10 * time.Minute}, {Share: 25, UntilPromoted: true}, {Share: 50, For: 10 * time.Minute}}

func TestAShareIsAsNearAsWeightsAllow(t *testing.T) {
	for _, c := range []struct {
		share, fresh, old int
		off               float64
	}{
		{5, 1, 1, 0.01},
		{25, 2, 2, 0.01},
		{50, 3, 3, 0.01},
		{1, 1, 1, 0.01},
		{99, 1, 1, 0.01},
		{33, 4, 2, 0.1},
		{10, 2, 5, 0.1},
		{1, 10, 1, 8.1}, // ten instances cannot have less than a hundredth of the old one's each
	} {
		steps := deploy.NewPlan(shop().canary(towpath.CanaryStep{Share: c.share, For: time.Minute}).sized(c.old).serves(release41).
			sized(c.fresh).wants(release42).facts()).Steps
		shift, is := firstShift(steps)
		if !is || !shift.Sticky {
			t.Fatalf("%+v: the plan is %q", c, words(steps))
		}
		fresh, all := 0, 0
		for id, weight := range shift.Weights {
			if all += weight; strings.HasPrefix(id, "r42-") {
				fresh += weight
			}
			if weight < 1 {
				t.Errorf("%+v: %s has nothing", c, id)
			}
		}
		if got := 100 * float64(fresh) / float64(all); math.Abs(got-float64(c.share)) > c.off {
			t.Errorf("%+v: its share is %.2f%% (%v)", c, got, shift)
		}
	}
}

func firstShift(steps []deploy.Step) (deploy.Shift, bool) {
	for _, step := range steps {
		if shift, is := step.Operation.(deploy.Shift); is {
			return shift, true
		}
	}
	return deploy.Shift{}, false
}

func TestACanaryThatIsGoneBackFromHasNoSteps(t *testing.T) {
	facts := shop().canary(threeSteps...).serves(release41).places(release42).with(release42, 5).wants(release42).giveUp().facts()
	shift, _ := firstShift(deploy.NewPlan(facts).Steps)
	if shift.Weights["r41-1"] != deploy.FullWeight || shift.Weights["r42-3"] != 0 || shift.Sticky {
		t.Errorf("the way back begins with %q", shift)
	}
}

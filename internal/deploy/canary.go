package deploy

import (
	"fmt"
	"math"
	"time"

	"github.com/towpath-cd/towpath"
)

// canary brings the goal up beside what serves, and gives it a growing share of the traffic: each step is held for its
// time, or until a person lets it go on. After the last one it is as blue-green is. What goes back has no steps.
func canary() strategy {
	return strategy{
		reach: []rule{
			repair, reachable, place, makeRoom, start, probe, test, sight, beginWatch, stand, holdStep, shift, singles, endSteps, drain, watch,
		},
		tidy: []rule{drop, endStreams, settle, standBy, awaitSingles},
	}
}

// holdStep gives the goal the share of its step, records since when it has it, and waits for the step's end.
func holdStep(s situation) []Step {
	step, isStep := s.step()
	if !isStep {
		return nil
	}
	d, definition := s.Environment.Deployment, s.Environment.Definition.Strategy
	now := definition.Steps[step]
	if table := s.tableFor(now.Share); !s.isTable(table) || s.Observed.Misrouted {
		return one(Shift{Weights: table, Sticky: definition.Sticky}, "step %d of %d gives release %d a share of %d%%",
			step+1, len(definition.Steps), s.Environment.Goal.Number, now.Share)
	}
	switch {
	case step != d.CanaryStep || d.StepAt.IsZero():
		return one(BeginStep{Deployment: d.ID, Step: step}, "its share of %d%% is given", now.Share)
	case now.UntilPromoted:
		return one(AwaitPromotion{Deployment: d.ID}, "a person lets it have more than %d%%", now.Share)
	}
	return one(Hold{Share: now.Share, Until: d.StepAt.Add(now.For)}, "step %d of %d", step+1, len(definition.Steps))
}

// endSteps records that the goal has all traffic, after its steps.
func endSteps(s situation) []Step {
	all := len(s.Environment.Definition.Strategy.Steps)
	if d := s.Environment.Deployment; s.isGated() && all > 0 && d.CanaryStep < all {
		return one(BeginStep{Deployment: d.ID, Step: all}, "all of its steps are over")
	}
	return nil
}

// step answers which step of the canary the deployment is at; false where it has none, is over the last one, or nothing
// else serves.
func (s situation) step() (step int, isStep bool) {
	steps := s.Environment.Definition.Strategy.Steps
	if !s.isGated() || len(steps) == 0 || len(s.older()) == 0 {
		return 0, false
	}
	d := s.Environment.Deployment
	if step = d.CanaryStep; step < len(steps) && isStepOver(*d, steps[step], s.Now) {
		step++
	}
	return step, step < len(steps)
}

// isStepOver says that the goal has had the share of a step for as long as it is held.
func isStepOver(d towpath.Deployment, step towpath.CanaryStep, now time.Time) bool {
	if d.StepAt.IsZero() {
		return false
	}
	return !d.PromotedAt.IsZero() || !step.UntilPromoted && !now.Before(d.StepAt.Add(step.For))
}

// isStepping says that steps of a canary are to come, or under way.
func (s situation) isStepping() bool {
	return s.isGated() && s.Environment.Deployment.CanaryStep < len(s.Environment.Definition.Strategy.Steps)
}

// older are the instances of the live release that take traffic.
func (s situation) older() []towpath.Instance {
	return filter(s.others, func(i towpath.Instance) bool {
		return i.Release == s.Environment.Live.Number && s.traffic(i).Weight > 0
	})
}

// tableFor gives the goal's instances together a share of all traffic, in percent, and the live release's the rest.
func (s situation) tableFor(share int) map[string]int {
	table, older := s.table(), s.older()
	for _, i := range s.others {
		s.withdraw(table, i)
	}
	fresh, old := weightsFor(share, len(s.chosen), len(older))
	for _, i := range s.chosen {
		table[i.ID] = fresh
	}
	for _, i := range older {
		table[i.ID] = old
	}
	s.spare(table)
	return table
}

// weightsFor answers the weight of each of so many new and old instances with which the new ones have a share as near to
// what is asked for as can be, and never none.
func weightsFor(share, fresh, old int) (freshWeight, oldWeight int) {
	least := math.Inf(1)
	for o := FullWeight; o > 0; o-- {
		f := int(math.Round(float64(share*old*o) / float64((100-share)*fresh)))
		f = max(1, min(f, FullWeight))
		got := float64(100*f*fresh) / float64(f*fresh+o*old)
		if off := math.Abs(got - float64(share)); off < least-1e-9 {
			least, freshWeight, oldWeight = off, f, o
		}
	}
	return freshWeight, oldWeight
}

// stepsInWords are the steps as people write them.
func stepsInWords(steps []towpath.CanaryStep) (words []string) {
	for _, s := range steps {
		if s.UntilPromoted {
			words = append(words, fmt.Sprintf("%d%% until promoted", s.Share))
		} else {
			words = append(words, fmt.Sprintf("%d%% for %s", s.Share, brief(s.For)))
		}
	}
	return words
}

package deploy

import (
	"fmt"
	"slices"
	"strings"

	"github.com/towpath-cd/towpath"
)

// longestPlan is more steps than any plan needs; one that long says that the rules go in a circle.
const longestPlan = 1000

// Plan is what has to be done, in order.
type Plan struct {
	Steps   []Step
	Reached bool   // the goal serves alone now, or nothing does where nothing is wanted; steps may be left that tidy up
	Note    string // why nothing is done although something could be; empty usually
	Drift   []Step // what is left undone for that reason
}

// Step is an operation with its reason, for people.
type Step struct {
	Operation Operation
	Reason    string
}

// NewPlan answers the whole way from the facts to an environment that needs nothing more, if every operation has its
// effect. The same facts give the same plan. It ends early at a wait that only an observation can end.
//
// A keeper performs UpToBarrier, gathers facts again and plans again. Where the first operation is the one that it has
// just performed, or an Await without an end, it takes its time: the world has not followed yet.
func NewPlan(f Facts) Plan {
	plan := Plan{Note: idleness(f)}
	if plan.Note != "" {
		if f.Environment.Halted != "" {
			plan.Drift = steps(f.unhalted())
		}
		return plan
	}
	_, plan.Reached = next(f)
	plan.Steps = steps(f)
	if newSituation(f).holds() {
		plan.Note = "traffic was moved by hand, and is left so"
		plan.Drift = steps(f.byKeeper())
	}
	return plan
}

// steps answers the whole way from the facts.
func steps(f Facts) (all []Step) {
	for len(all) < longestPlan {
		some, _ := next(f)
		for _, step := range some {
			all = append(all, step)
			f = f.after(step.Operation)
		}
		if len(some) == 0 || isOpen(some) {
			break
		}
	}
	return all
}

// unhalted answers the facts as they would be if nothing were halted.
func (f Facts) unhalted() Facts {
	f.Environment.Halted = ""
	return f
}

// byKeeper answers the facts as they would be if nobody had moved traffic by hand.
func (f Facts) byKeeper() Facts {
	f.Observed.Instances = slices.Clone(f.Observed.Instances)
	for n := range f.Observed.Instances {
		f.Observed.Instances[n].Traffic.ByHand = false
	}
	return f
}

// UpToBarrier answers the steps to perform before facts have to be gathered again: a barrier alone, or all before the
// next one.
func (p Plan) UpToBarrier() []Step {
	for n, step := range p.Steps {
		if IsBarrier(step.Operation) {
			return p.Steps[:max(n, 1)]
		}
	}
	return p.Steps
}

// idleness says why nothing may be done in the environment.
func idleness(f Facts) string {
	e := f.Environment
	switch {
	case e.Halted != "":
		return "halted until a person says so: " + e.Halted
	case e.Goal.Number == 0 && !wasDeployedTo(e) && len(f.Observed.Instances) > 0:
		return fmt.Sprintf("nothing was ever deployed here, so the %d instances that were found are left alone", len(f.Observed.Instances))
	}
	return ""
}

// wasDeployedTo says that what is found in an environment may be what a deployment has left there.
func wasDeployedTo(e towpath.Environment) bool {
	return e.Deployment != nil || len(e.History) > 0 || len(e.Failed) > 0 || e.Pin != nil
}

// next answers the next steps, and whether the goal is reached.
func next(f Facts) (steps []Step, reached bool) {
	s := newSituation(f)
	order := strategyOf(s)
	if steps := s.first(slices.Concat([]rule{shorten, before}, order.reach, []rule{after, failed})); len(steps) > 0 {
		return s.patient(steps), false
	}
	if d := f.Environment.Deployment; d != nil {
		return []Step{{Operation: Conclude{Deployment: d.ID, Note: s.conclusion()}, Reason: s.achievement()}}, true
	}
	return s.patient(s.first(order.tidy)), true
}

// strategy is two ordered lists of rules: those that reach the goal, and those that tidy up behind it.
type strategy struct{ reach, tidy []rule }

// rule looks at the situation and answers the next steps, or nothing where it has no objection.
type rule func(situation) []Step

func strategyOf(s situation) strategy {
	switch {
	case s.Environment.Goal.Number == 0:
		return takeDown()
	case s.Environment.Definition.Strategy.Kind == towpath.StrategyRolling:
		return rolling()
	case !s.isBalanced() || !s.hasSpareSlots():
		return allAtOnce()
	case s.Environment.Definition.Strategy.Kind == towpath.StrategyCanary:
		return canary()
	case s.Environment.Definition.Strategy.Kind == towpath.StrategyBlueGreen:
		return blueGreen()
	default:
		return allAtOnce()
	}
}

func (s situation) first(rules []rule) []Step {
	for _, r := range rules {
		if steps := r(s); len(steps) > 0 {
			return steps
		}
	}
	return nil
}

// conclusion is what people are told of the way to the goal.
func (s situation) conclusion() string {
	words := []string{s.verdictInWords(), s.missingInWords(), s.singlesInWords()}
	return strings.Join(slices.DeleteFunc(words, func(w string) bool { return w == "" }), "; ")
}

func (s situation) achievement() string {
	if s.Environment.Goal.Number == 0 {
		return "nothing is left of it"
	}
	return fmt.Sprintf("release %d serves alone", s.Environment.Goal.Number)
}

// isOpen says that nobody can tell what comes after the last of the steps, or when.
func isOpen(steps []Step) bool {
	switch o := steps[len(steps)-1].Operation.(type) {
	case Await:
		return o.Until.IsZero()
	case Condemn:
		return true
	}
	return false
}

func one(o Operation, reason string, args ...any) []Step {
	return []Step{{Operation: o, Reason: fmt.Sprintf(reason, args...)}}
}

package towpath

import (
	"fmt"
	"maps"
	"slices"
)

// Repetition says which run another one repeats.
type Repetition struct {
	Run     string // ID
	Number  int    // of that run
	Order   int    // number of the run that was the first of the change
	By      string // account that asked for it
	Partial bool   // it leaves steps out that have not passed: that it passes says nothing of the pipeline
}

// Again says which steps of a run are run again. The zero value is all of them; at most one of the fields is set.
type Again struct {
	Failed bool   // those that did not pass, and all behind them
	Step   string // this one alone
	From   string // this one, and all behind it
}

// Order says which of two runs is of the newer change: a repetition is of the change of the run that it repeats.
func (r Run) Order() int {
	if r.Repeats != nil {
		return r.Repeats.Order
	}
	return r.Number
}

// IsPartial says that the run repeats a part of another, so that it says nothing of the pipeline when it passes.
func (r Run) IsPartial() bool { return r.Repeats != nil && r.Repeats.Partial }

// Plan is the pipeline as it was when the run was made: with every `when` decided, and without its triggers.
func (r Run) Plan() Pipeline {
	p := Pipeline{Name: r.Pipeline, Environments: r.Environments, Concurrency: r.Concurrency, Alerts: r.Alerts}
	for _, s := range r.Steps {
		p.Steps = append(p.Steps, s.StepDefinition)
	}
	return p
}

// Repeat makes a run that repeats this one, by the plan that this one had (Plan) or another. Steps that are not run again
// keep what came of them. Approvals never do: what is behind one waits until it was asked again. CodeConflict says that the
// run has not ended, that nothing is left to run, or which step needs one that has not passed; CodeNotFound that the plan
// has no step of that name.
//
// The repetition is given as the new run that the plan makes.
func (r Run) Repeat(made Run, what Again) (Run, error) {
	if !r.State.IsFinal() {
		return made, Errorf(CodeConflict, "run %d is %s", r.Number, r.State).
			WithHint("wait for its end, or cancel it: towpath cancel %s#%d", r.Pipeline, r.Number)
	}
	made.Repeats = &Repetition{Run: r.ID, Number: r.Number, Order: r.Order()}
	if what == (Again{}) {
		return made, nil
	}
	p := &repeating{Run: made, of: r}
	if err := p.choose(what); err != nil {
		return made, err
	}
	p.askAgain()
	if err := p.checkNeeds(); err != nil {
		return made, err
	}
	p.takeOver(what)
	return p.Run, nil
}

// repeating is one call of Repeat.
type repeating struct {
	Run
	of    Run
	again map[string]bool // the steps that are run again
}

func (p *repeating) choose(what Again) error {
	p.again = map[string]bool{}
	name := what.Step + what.From
	step, known := p.Step(name)
	switch {
	case what.Failed && name != "" || what.Step != "" && what.From != "":
		return Errorf(CodeInvalid, "only one of the failed steps, a step, and a step with all behind it can be run again")
	case !what.Failed && !known:
		return Errorf(CodeNotFound, "%s has no step %q", p.Pipeline, name)
	case step.Excluded != "":
		return Errorf(CodeConflict, "%s is left out: %s", name, step.Excluded)
	case !what.Failed:
		p.again[name] = true
	}
	for _, s := range p.Steps {
		if what.Failed && s.Excluded == "" && !p.hasPassed(s) {
			p.again[s.Name] = true
		}
	}
	if len(p.again) == 0 {
		return Errorf(CodeConflict, "nothing failed in run %d", p.of.Number).WithHint("without --failed all of it runs again")
	}
	if what.Step == "" {
		p.addBehind()
	}
	return nil
}

// hasPassed says that what came of a step of the same name and kind can be kept.
func (p *repeating) hasPassed(s Step) bool {
	before, ok := p.of.Step(s.Name)
	return ok && before.Kind == s.Kind && (before.State == StepPassed || before.State == StepSkipped && !before.Barred)
}

// addBehind adds the steps that need one which is run again, directly or not.
func (p *repeating) addBehind() {
	first := maps.Clone(p.again)
	for _, s := range p.Steps {
		if slices.ContainsFunc(p.Behind(s.Name), func(b Step) bool { return first[b.Name] }) {
			p.again[s.Name] = true
		}
	}
}

// askAgain adds the approvals before what is run again, which waits for them though steps between may have passed.
func (p *repeating) askAgain() {
	for _, s := range p.Steps {
		if p.again[s.Name] {
			for _, before := range p.gates(s.Name) {
				p.again[before] = true
			}
		}
	}
	for i := range p.Steps {
		s := &p.Steps[i]
		if !p.again[s.Name] {
			continue
		}
		for _, before := range p.gates(s.Name) {
			if !slices.Contains(s.Needs, before) {
				s.Needs = append(slices.Clone(s.Needs), before)
			}
		}
	}
}

// gates are the approvals that a step is behind.
func (p *repeating) gates(name string) []string {
	var found []string
	for _, before := range p.Behind(name) {
		if before.Kind == KindApprove && before.Excluded == "" {
			found = append(found, before.Name)
		}
	}
	return found
}

func (p *repeating) checkNeeds() error {
	for _, s := range p.Steps {
		if !p.again[s.Name] || s.Excluded != "" {
			continue
		}
		for _, name := range s.Needs {
			need, _ := p.Step(name)
			if !p.again[name] && need.Excluded == "" && !p.hasPassed(need) {
				return Errorf(CodeConflict, "%s needs %s, which has not passed in run %d", s.Name, name, p.of.Number).
					WithHint("--from %q runs both again, --failed all that has not passed", name)
			}
		}
	}
	return nil
}

// takeOver ends every step that is not run again, as it ended before.
func (p *repeating) takeOver(what Again) {
	for i := range p.Steps {
		s := &p.Steps[i]
		if p.again[s.Name] || s.Excluded != "" {
			continue
		}
		switch {
		case s.Kind == KindApprove:
			s.State, s.Reason = StepSkipped, "not asked again: nothing behind it is run again"
		case p.hasPassed(*s):
			p.keep(s)
		default:
			s.State, s.Barred = StepSkipped, true
			s.Reason = fmt.Sprintf("left out: only %s is run again", what.Step+what.From)
			p.Repeats.Partial = true
		}
	}
	p.Repeats.Partial = p.Repeats.Partial || what.Step != ""
}

func (p *repeating) keep(s *Step) {
	before, _ := p.of.Step(s.Name)
	s.State, s.Reason, s.From = before.State, before.Reason, before.From
	if s.From == 0 {
		s.From = p.of.Number
	}
	s.Outputs, s.Artifacts = maps.Clone(before.Outputs), slices.Clone(before.Artifacts)
	s.Release, s.Deployment = before.Release, before.Deployment
}

// TakenOver answers the artifacts that steps which are yet to run use of those that ended in another run.
func (r Run) TakenOver() []Artifact {
	var taken []Artifact
	for _, s := range r.Steps {
		uses := s.Ships
		if s.Script != nil {
			uses = s.Script.Uses
		}
		if s.State.IsFinal() {
			continue
		}
		for _, name := range uses {
			if used, _ := r.Step(name); used.From > 0 {
				taken = append(taken, used.Artifacts...)
			}
		}
	}
	return taken
}

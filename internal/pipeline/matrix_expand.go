package pipeline

import (
	"fmt"
	"maps"
	"slices"

	"github.com/towpath-cd/towpath"
)

// expandMatrices makes a step of each combination, and has whoever needs the step, or uses its artifacts, do so with them.
func (b *builder) expandMatrices() {
	b.written = b.out.Steps
	if len(b.matrices) == 0 || b.failed() {
		return
	}
	made, taken := map[string][]towpath.StepDefinition{}, map[string]bool{}
	for _, s := range b.written {
		taken[s.Name] = true
	}
	b.out.Steps = nil
	for i, s := range b.written {
		made[s.Name] = b.combine(s)
		b.checkMade(b.steps[i], made[s.Name], taken)
		b.out.Steps = append(b.out.Steps, made[s.Name]...)
	}
	if len(b.out.Steps) > maxSteps {
		b.unfit(b.root.get("steps").key, fmt.Sprintf("%d steps with those of matrices; a pipeline has at most %d", len(b.out.Steps), maxSteps),
			"make several pipelines of it")
	}
	for i := range b.out.Steps {
		s := &b.out.Steps[i]
		b.checkAgreement(*s, made)
		s.Needs, s.Ships = namesOf(s.Needs, made, nil), namesOf(s.Ships, made, nil)
		if s.Script != nil {
			s.Script.Uses = namesOf(s.Script.Uses, made, s.Matrix)
		}
	}
}

// checkAgreement refuses a combination that uses the artifacts of another matrix of which no combination agrees with it.
func (b *builder) checkAgreement(s towpath.StepDefinition, made map[string][]towpath.StepDefinition) {
	if s.Of == "" {
		return
	}
	for _, name := range s.Script.Uses {
		if len(namesOf([]string{name}, made, s.Matrix)) == 0 {
			b.unfit(place{s.Line, 1, 1}, fmt.Sprintf("%s uses %s, of which no combination has the same values", s.Name, name),
				"exclude this combination, or say uses: []")
		}
	}
}

// combine answers the steps that a step of the file makes: itself where it has no matrix.
func (b *builder) combine(s towpath.StepDefinition) []towpath.StepDefinition {
	m, has := b.matrices[s.Name]
	if !has {
		if s.Script != nil {
			script := *s.Script
			s.Script = &script
		}
		return []towpath.StepDefinition{s}
	}
	var made []towpath.StepDefinition
	for _, c := range m.combinations() {
		one, script := s, *s.Script
		one.Name, one.Of, one.Matrix, one.Script = m.nameOf(s.Name, c), s.Name, c, &script
		script.Worker = selectorOf(script.Worker, c)
		script.Env = maps.Clone(script.Env)
		if script.Env == nil {
			script.Env = map[string]string{}
		}
		for key, value := range c {
			script.Env[matrixVariable(key)] = value
		}
		made = append(made, one)
	}
	return made
}

// selectorOf adds to what a step says of its workers what the combination says.
func selectorOf(s towpath.Selector, c combination) towpath.Selector {
	if s.OS == "" {
		s.OS = c[systemAxis]
	}
	if s.Arch == "" {
		s.Arch = c[archAxis]
	}
	if label := c[labelsAxis]; label != "" && !slices.Contains(s.Labels, label) {
		s.Labels = append(slices.Clone(s.Labels), label)
	}
	return s
}

// checkMade refuses a name that another step has, and names that are too long.
func (b *builder) checkMade(v *value, made []towpath.StepDefinition, taken map[string]bool) {
	form := nameFormat()
	for _, s := range made {
		if s.Of == "" {
			continue
		}
		at := v.get("matrix").key
		if wrong, _ := form.check(s.Name); wrong != "" {
			b.unfit(at, fmt.Sprintf("a step of this matrix would be named %s", clip(s.Name)), "shorten the step's name or the values: a name has at most 100 signs")
			return
		}
		if taken[s.Name] {
			b.unfit(at, fmt.Sprintf("two steps would be named %s", clip(s.Name)), "rename one, or write the values so that their names differ")
			return
		}
		taken[s.Name] = true
	}
}

// namesOf answers the steps that the steps of the file made. For one combination of a matrix, they are those of another
// matrix that have the same values for the keys that both have.
func namesOf(written []string, made map[string][]towpath.StepDefinition, of combination) []string {
	if written == nil {
		return nil
	}
	names := []string{}
	for _, name := range written {
		for _, s := range made[name] {
			if len(s.Matrix) == 0 || of.agrees(s.Matrix) {
				names = append(names, s.Name)
			}
		}
	}
	return names
}

// agrees says that no key of both has different values.
func (c combination) agrees(other combination) bool {
	for key, value := range c {
		if its, both := other[key]; both && its != value {
			return false
		}
	}
	return true
}

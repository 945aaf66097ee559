package pipeline

import (
	"fmt"
	"slices"
	"strings"

	"github.com/towpath-cd/towpath"
)

// order is which step comes before which: for each step, by index, all that it needs, directly or not.
type order struct {
	direct [][]int
	behind []set
}

// resolveNeeds says of every step what it needs, and refuses circles.
func (b *builder) resolveNeeds() {
	index := map[string]int{}
	for i, s := range b.out.Steps {
		index[s.Name] = i
	}
	needed := make([]bool, len(b.out.Steps)) // by a step above
	for i := range b.out.Steps {
		s := &b.out.Steps[i]
		if b.steps[i].has("needs") {
			s.Needs = b.writtenNeeds(b.steps[i], s.Name, index)
		} else {
			s.Needs = impliedNeeds(b.out.Steps[:i], needed)
		}
		direct := make([]int, len(s.Needs))
		for n, name := range s.Needs {
			direct[n] = index[name]
			needed[index[name]] = true
		}
		b.order.direct = append(b.order.direct, direct)
	}
	b.findCircles()
}

// impliedNeeds is every step above that nothing else above needs.
func impliedNeeds(above []towpath.StepDefinition, needed []bool) []string {
	needs := []string{}
	for i, s := range above {
		if !needed[i] {
			needs = append(needs, s.Name)
		}
	}
	return needs
}

func (b *builder) writtenNeeds(step *value, name string, index map[string]int) []string {
	needs := []string{}
	for _, need := range step.get("needs").each() {
		switch _, ok := index[need.text]; {
		case need.text == name:
			b.wrong(need.at, name+" needs itself", "take it out")
		case !ok:
			b.noStep(need)
		case !slices.Contains(needs, need.text):
			needs = append(needs, need.text)
		}
	}
	return needs
}

// noStep tells of a name that no step has; not where a step could not be read, which might be the one.
func (b *builder) noStep(name *value) {
	if steps := b.root.get("steps"); steps.broken || len(b.out.Steps) < len(steps.items) {
		return
	}
	b.wrong(name.at, fmt.Sprintf("no step %q", name.text), suggest(name.text, b.stepNames(), "the steps are "+clipTo(joinAnd(b.stepNames()), 400)))
}

func (b *builder) stepNames() []string {
	names := make([]string, len(b.out.Steps))
	for i, s := range b.out.Steps {
		names[i] = s.Name
	}
	return names
}

// findCircles goes through the graph once; what is found to end is remembered with all that is behind it.
func (b *builder) findCircles() {
	b.order.behind = make([]set, len(b.out.Steps))
	var path []int
	var visit func(i int) bool
	visit = func(i int) bool {
		if b.order.behind[i] != nil {
			return true
		}
		if at := slices.Index(path, i); at >= 0 {
			b.circle(path[at:])
			return false
		}
		path = append(path, i)
		behind := newSet(len(b.out.Steps))
		for _, need := range b.order.direct[i] {
			if !visit(need) {
				return false
			}
			behind.add(need)
			behind.join(b.order.behind[need])
		}
		path = path[:len(path)-1]
		b.order.behind[i] = behind
		return true
	}
	for i := range b.out.Steps {
		if !visit(i) {
			b.order.behind = nil
			return
		}
	}
}

// circle tells of steps that wait for each other, at the one whose needs are written in the file.
func (b *builder) circle(around []int) {
	names := make([]string, 0, len(around)+1)
	at := b.steps[around[0]].at
	for _, i := range around {
		names = append(names, b.out.Steps[i].Name)
		if needs := b.steps[i].get("needs"); needs != nil {
			at = needs.at
		}
	}
	names = append(names, names[0])
	b.unfit(at, "these steps wait for each other: "+clipTo(strings.Join(names, " → "), 400),
		"a step without needs waits for those above it; write needs: [] where it should not")
}

// resolveUses says of every step whose artifacts it gets.
func (b *builder) resolveUses() {
	if b.order.behind == nil {
		return
	}
	for i := range b.out.Steps {
		s := &b.out.Steps[i]
		if s.Kind == towpath.KindApprove {
			continue
		}
		uses := b.uses(i)
		if s.Script != nil {
			s.Script.Uses = uses
		} else {
			s.Ships = uses
		}
	}
}

func (b *builder) uses(i int) []string {
	uses := []string{}
	if written := b.steps[i].get("uses"); written != nil {
		for _, use := range written.each() {
			if b.checkUse(i, use) && !slices.Contains(uses, use.text) {
				uses = append(uses, use.text)
			}
		}
		return uses
	}
	for n, s := range b.out.Steps {
		if b.order.behind[i].has(n) && keepsArtifacts(s) {
			uses = append(uses, s.Name)
		}
	}
	return uses
}

func (b *builder) checkUse(i int, use *value) bool {
	n := slices.Index(b.stepNames(), use.text)
	switch name := b.out.Steps[i].Name; {
	case n < 0:
		b.noStep(use)
	case !keepsArtifacts(b.out.Steps[n]):
		b.unfit(use.at, fmt.Sprintf("%s uses %s, which keeps no artifacts", name, use.text), "add artifacts: to "+use.text)
	case !b.order.behind[i].has(n):
		b.unfit(use.at, fmt.Sprintf("%s uses %s, but does not need it", name, use.text), "add "+use.text+" to its needs")
	default:
		return true
	}
	return false
}

func keepsArtifacts(s towpath.StepDefinition) bool {
	return s.Script != nil && len(s.Script.Artifacts) > 0
}

// set is a set of steps, by index.
type set []uint64

func newSet(size int) set { return make(set, (size+63)/64) }

func (s set) add(i int) { s[i/64] |= 1 << (i % 64) }

func (s set) has(i int) bool { return s[i/64]&(1<<(i%64)) != 0 }

func (s set) join(other set) {
	for i := range s {
		s[i] |= other[i]
	}
}

package pipeline

import (
	"fmt"

	"github.com/towpath-cd/towpath"
)

// builder makes the nouns of what was decoded, and checks what only the whole shows.
type builder struct {
	*report
	name  string // of the file
	root  *value
	steps []*value // the values of pipeline.Steps, by index
	whens map[string]when
	order order
	out   towpath.Pipeline

	matrices map[string]matrix        // by step; only those that have one
	written  []towpath.StepDefinition // the steps as the file has them, where those of out are expanded
}

func newBuilder(r *report, name string, root *value) *builder {
	return &builder{report: r, name: name, root: root, whens: map[string]when{}, matrices: map[string]matrix{}}
}

func (b *builder) build() *File {
	b.out.Name = b.pipelineName()
	b.out.Concurrency = towpath.Concurrency(b.root.get("concurrency").string())
	b.out.Triggers = b.triggers(b.root.get("on"))
	b.out.Alerts = alerts(b.root.get("alerts"))
	b.environments(b.root.get("environments"))
	b.addSteps(b.root.get("steps"))
	b.resolveNeeds()
	b.resolveUses()
	b.checkSteps()
	b.expandMatrices()
	return &File{name: b.name, pipeline: b.out, written: b.written, matrices: b.matrices, whens: b.whens}
}

func (b *builder) pipelineName() string {
	name := b.root.get("pipeline").string()
	if name == "" {
		name = nameFromPath(b.name)
	}
	if name == "" && !b.root.misread("pipeline") {
		b.unfit(place{1, 1, 1}, "the pipeline has no name", "write it at the top, for example pipeline: shop")
	}
	return name
}

// alerts answers whom to tell of each kind; an empty list is nobody.
func alerts(v *value) map[towpath.AlertKind][]string {
	m := map[towpath.AlertKind][]string{}
	for _, kind := range towpath.AlertKinds {
		if who := v.get(string(kind)); who != nil {
			m[kind] = who.texts()
		}
	}
	return m
}

func describe(s towpath.StepDefinition) string { return fmt.Sprintf("%s %s", s.Kind, s.Name) }

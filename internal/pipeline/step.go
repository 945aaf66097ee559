package pipeline

import (
	"fmt"
	"slices"
	"strings"

	"github.com/towpath-cd/towpath"
)

func (b *builder) addSteps(list *value) {
	if list == nil {
		return
	}
	if len(list.items) == 0 && !list.broken {
		b.wrong(list.key, "there are no steps", "a pipeline has at least one")
	}
	if len(list.items) > maxSteps {
		b.wrong(list.items[maxSteps].at, fmt.Sprintf("%d steps; a pipeline has at most %d", len(list.items), maxSteps), "make several pipelines of it")
		list.items = list.items[:maxSteps]
	}
	first := map[string]int{}
	for _, v := range list.items {
		s := b.step(v)
		if s.Name == "" {
			continue
		}
		if line, twice := first[s.Name]; twice {
			b.wrong(v.get(v.variant).at, fmt.Sprintf("two steps are named %s, the first in line %d", s.Name, line), "names are unique in a file, whatever the kind")
			continue
		}
		first[s.Name] = s.Line
		b.out.Steps, b.steps = append(b.out.Steps, s), append(b.steps, v)
	}
}

func (b *builder) step(v *value) towpath.StepDefinition {
	named := v.get(v.variant)
	s := towpath.StepDefinition{
		Name: named.string(), Kind: towpath.StepKind(v.variant), When: towpath.WhenPassed, Needs: v.get("needs").texts(),
	}
	if named != nil {
		s.Line = named.key.line
	}
	if v.has("when") {
		w, ok := b.condition(v.get("when"))
		if s.When = w.after; ok && s.Name != "" {
			b.whens[s.Name] = w
		}
	}
	switch {
	case s.Kind.IsScript():
		s.Script = b.script(s.Kind, v)
		if m := b.matrix(v, v.get("matrix")); m != nil && s.Name != "" {
			b.matrices[s.Name] = *m
		}
	case s.Kind == towpath.KindApprove:
		s.Approve = approval(v)
	default:
		s.Deploy = s.Name
		b.checkEnvironment(named)
	}
	return s
}

func (b *builder) script(kind towpath.StepKind, v *value) *towpath.ScriptDefinition {
	source := "run"
	if kind == towpath.KindRun {
		source = "script"
	}
	s := &towpath.ScriptDefinition{
		Run:       v.get(source).string(),
		Shell:     v.get("shell").string(),
		Worker:    selector(v.get("worker")),
		Env:       v.get("env").table(),
		Uses:      v.get("uses").texts(),
		Artifacts: v.get("artifacts").texts(),
		Platform:  v.get("platform").string(),
		Clean:     v.get("clean").bool(),
		Timeout:   v.get("timeout").duration(),
		Checkout:  checkout(v.get("checkout")),
		Retry:     b.retry(kind, v.get("retry")),
		Cache:     b.caches(v),
		Reports:   reports(v),
		Inside:    inside(v.get("inside")),
		Services:  b.services(v.get("services")),
	}
	if v.get("network").string() == towpath.NetworkNone {
		s.Network = towpath.NetworkNone
		s.Worker = apart(s.Worker, s.Inside != nil)
	}
	s.Secrets, s.SecretFiles = b.secrets(v)
	b.checkServices(v, *s)
	return s
}

// retry reads how often an attempt is followed by another: a number alone is how many failures are survived.
func (b *builder) retry(kind towpath.StepKind, v *value) towpath.Retry {
	r := towpath.Retry{Lost: v.get("lost").int(), Times: v.get("times").int()}
	if v != nil && !v.isMapping() {
		r.Times = v.number
	}
	if kind != towpath.KindRun && v.get("lost") == nil {
		r.Lost = towpath.MaxLost
	}
	for _, code := range v.get("codes").each() {
		r.Codes = append(r.Codes, code.number)
	}
	if len(r.Codes) > 0 && r.Times == 0 {
		b.unfit(v.get("codes").key, "retry says after which exit codes, but not how often", "add times: 2, or take codes out")
	}
	return r
}

func checkout(v *value) towpath.Checkout {
	return towpath.Checkout{Submodules: v.get("submodules").bool(), LFS: v.get("lfs").bool(), Depth: v.get("depth").int()}
}

func approval(v *value) *towpath.ApproveDefinition {
	return &towpath.ApproveDefinition{
		By:      v.get("by").texts(),
		Count:   v.get("count").int(),
		Within:  v.get("within").duration(),
		Author:  v.get("author").bool(),
		Message: v.get("message").string(),
	}
}

// apart has a step without a network wait for a worker that can take it away. Inside of a container any can.
func apart(s towpath.Selector, isInside bool) towpath.Selector {
	if !isInside && !slices.Contains(s.Labels, towpath.IsolationNamespaces) {
		s.Labels = append(slices.Clone(s.Labels), towpath.IsolationNamespaces)
	}
	return s
}

func selector(v *value) towpath.Selector {
	switch {
	case v == nil:
		return towpath.Selector{}
	case v.list:
		return towpath.Selector{Labels: v.texts()}
	case v.text != "":
		system, arch, _ := strings.Cut(v.text, "/")
		return towpath.Selector{OS: system, Arch: arch}
	default:
		return towpath.Selector{OS: v.get("os").string(), Arch: v.get("arch").string(), Labels: v.get("labels").texts()}
	}
}

func (b *builder) checkEnvironment(named *value) {
	if named == nil {
		return
	}
	known := slices.Clone(b.root.get("environments").keys())
	if slices.Contains(known, named.text) {
		return
	}
	otherwise := "add it below environments:"
	if len(known) > 0 {
		otherwise += ", or deploy to " + joinOr(known)
	}
	b.wrong(named.at, fmt.Sprintf("no environment %q", named.text), suggest(named.text, known, otherwise))
}

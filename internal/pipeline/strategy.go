package pipeline

import (
	"fmt"
	"math"
	"time"

	"github.com/towpath-cd/towpath"
)

// defaultStandby is how long the old side stays ready.
const defaultStandby = time.Hour

// strategy is what the file says. By default it is blue-green where new instances can stand beside the old ones and a
// balancer has shares, else rolling where there is a balancer.
func (b *builder) strategy(e towpath.EnvironmentDefinition, v *value) towpath.StrategyDefinition {
	chosen, can := v.get("strategy"), e.Balancer.Can()
	kind := towpath.StrategyAllAtOnce
	switch {
	case chosen != nil:
		kind = towpath.StrategyKind(chosen.variant)
	case can.Weights && canStandBeside(e):
		kind = towpath.StrategyBlueGreen
	case can.Moves:
		kind = towpath.StrategyRolling
	}
	s, settings := towpath.StrategyDefinition{Kind: kind}, chosen.get(string(kind))
	switch kind {
	case towpath.StrategyBlueGreen:
		s.Standby = defaultStandby
		if settings != nil {
			s.Standby = settings.get("standby").duration()
		}
		s.Test, s.UntilPromoted = settings.get("test").string(), settings.get("until").string() != ""
	case towpath.StrategyRolling:
		s.Batch = max(1, portion(settings.get("batch"), e.Instances))
		s.Surge = portion(settings.get("surge"), e.Instances)
	case towpath.StrategyCanary:
		s.Standby, s.Sticky = settings.get("standby").duration(), settings.get("sticky").bool()
		s.Test, s.Steps = settings.get("test").string(), b.canarySteps(settings.get("steps"))
	}
	return s
}

// portion is a number, or a share of all that is rounded up.
func portion(v *value, all int) int {
	if v == nil || v.text == "" {
		return v.int()
	}
	share, _ := parsePercent(v.text) // its format was checked
	return int(math.Ceil(share*float64(all) - 1e-9))
}

// canStandBeside says that new instances can run beside the old ones.
func canStandBeside(e towpath.EnvironmentDefinition) bool {
	switch {
	case e.Target.Process != nil:
		return e.Target.Process.Port == 0
	case e.Target.Hosts != nil:
		return len(e.Target.Hosts.Slots) > 1
	}
	return true
}

// canarySteps reads texts whose format was checked. Each gives a greater share than the one before.
func (b *builder) canarySteps(v *value) []towpath.CanaryStep {
	if v == nil {
		return nil
	}
	var steps []towpath.CanaryStep
	for _, item := range v.items {
		step, err := parseCanaryStep(item.text)
		if err != nil {
			continue
		}
		if len(steps) > 0 && step.Share <= steps[len(steps)-1].Share {
			b.unfit(item.at, fmt.Sprintf("a step of %d%% after one of %d%%", step.Share, steps[len(steps)-1].Share),
				"let each step have more than the one before")
		}
		steps = append(steps, step)
	}
	if len(v.items) == 0 && !v.isBroken() {
		b.unfit(v.at, "a canary without steps", "write steps: [5% for 10m, 50% until promoted], or use strategy: blue-green")
	}
	return steps
}

// minimum is by default all, less what the strategy takes out of the traffic at once.
func (b *builder) minimum(name string, e towpath.EnvironmentDefinition, v *value) int {
	written := v.get("minimum")
	allAtOnce, out := e.Strategy.Kind == towpath.StrategyAllAtOnce, max(0, e.Strategy.Batch-e.Strategy.Surge)
	switch {
	case written == nil && allAtOnce:
		return 0
	case written == nil:
		return max(0, e.Instances-out)
	case written.number > e.Instances:
		b.unfit(written.at, fmt.Sprintf("%s keeps %d instances in traffic, but has only %d", name, written.number, e.Instances), "raise instances, or lower minimum")
	case written.number > 0 && allAtOnce:
		b.unfit(written.at, fmt.Sprintf("%s cannot keep %d in traffic: all-at-once stops the old before it starts the new", name, written.number),
			"use strategy: blue-green, or take minimum out")
	case written.number > max(0, e.Instances-out):
		b.unfit(written.at, fmt.Sprintf("%s cannot keep %d of %d in traffic: rolling takes %d out at once", name, written.number, e.Instances, out),
			"lower minimum or batch, or let more run meanwhile with surge")
	}
	return written.number
}

// checkSlots refuses what a process on one machine cannot serve.
func (b *builder) checkSlots(e towpath.EnvironmentDefinition, v *value) {
	process := e.Target.Process
	if process == nil || process.Port == 0 || e.Instances < 2 {
		return
	}
	b.unfit(v.get("target", "process", "port").at, fmt.Sprintf("%s cannot run %d instances: they would share port %d", e.Name, e.Instances, process.Port),
		"take port out; a free one is chosen for each and passed as PORT")
}

// checkStrategy refuses what the target or the balancer cannot do.
func (b *builder) checkStrategy(e towpath.EnvironmentDefinition, v *value) {
	chosen, kind := v.get("strategy"), e.Strategy.Kind
	if chosen == nil {
		return
	}
	needsBoth := kind == towpath.StrategyBlueGreen || kind == towpath.StrategyCanary
	if hosts := e.Target.Hosts; hosts != nil && v.has("instances") && e.Instances < len(hosts.Hosts) {
		b.unfit(v.get("instances").at, fmt.Sprintf("%s has %d hosts, and each runs one instance", e.Name, len(hosts.Hosts)), "take instances out")
	}
	switch {
	case e.Strategy.Batch > e.Instances:
		b.unfit(chosen.key, fmt.Sprintf("%s cannot replace %d at once: it has %d", e.Name, e.Strategy.Batch, e.Instances), "lower batch, or write it in percent")
	case (needsBoth || e.Strategy.Surge > 0) && !canStandBeside(e):
		b.cannotStandBeside(e, chosen)
	}
	if !needsBoth || v.misread("balancer") {
		return
	}
	switch can := e.Balancer.Can(); {
	case !can.Moves:
		b.unfit(chosen.key, fmt.Sprintf("%s cannot use %s: no balancer moves its traffic", e.Name, kind),
			"add balancer: {proxy: {host: …}}, or use strategy: all-at-once")
	case !can.Weights && kind == towpath.StrategyCanary:
		b.unfit(chosen.key, fmt.Sprintf("%s cannot use %s: balancer %s gives an instance all or nothing", e.Name, kind, e.Balancer.Kind()),
			"use strategy: rolling, or a balancer with weights, such as proxy, haproxy or nginx")
	case e.Strategy.Sticky && !can.Sticky:
		b.unfit(chosen.key, fmt.Sprintf("%s cannot keep visitors on a side: balancer %s does not tell them apart", e.Name, e.Balancer.Kind()),
			withoutSticky(e.Balancer))
	}
}

// withoutSticky says what to do where a balancer does not keep visitors on their side.
func withoutSticky(b towpath.BalancerDefinition) string {
	if b.Kind() == towpath.BalancerHAProxy {
		return "take sticky out, and have a cookie of haproxy.cfg keep visitors on an instance (docs/balancers.md, Visitors of a canary); " +
			"or use balancer: {proxy: {host: …}}"
	}
	return "take sticky out, or use balancer: {proxy: {host: …}}"
}

// cannotStandBeside says why new instances cannot run beside the old ones.
func (b *builder) cannotStandBeside(e towpath.EnvironmentDefinition, chosen *value) {
	what := "use " + string(e.Strategy.Kind)
	if e.Strategy.Kind == towpath.StrategyRolling {
		what = "let more run meanwhile"
	}
	if e.Target.Process != nil {
		b.unfit(chosen.key, fmt.Sprintf("%s cannot %s: target process has one port", e.Name, what),
			"take port out; a free one is chosen for each side and passed as PORT. Or use strategy: all-at-once")
		return
	}
	b.unfit(chosen.key, fmt.Sprintf("%s cannot %s: its hosts have one slot each", e.Name, what),
		"give each host two: slots: {blue: 8001, green: 8002}. Or use strategy: rolling")
}

package deploy

import (
	"fmt"
	"slices"
	"strings"

	"github.com/towpath-cd/towpath"
)

// Forecast is a plan in words, as people see it before they approve it. It is made by the planner itself, run to its
// end on a predicted world; what happens on the way may change it.
type Forecast struct {
	Environment string // key
	Live, Goal  string // "release 42 (9be07d4)", or "nothing"
	Strategy    string // with how many instances, and where
	Lines       []Line
	Note        string // why there is nothing to do; empty where there are lines
	Downtime    string
	WayBack     string
	Clients     string // what those see who keep where it answered; empty where nobody does, or nothing loses traffic
	Schema      string
	Destroys    string
	Common      string // what the old release and the new one share, so that each reads what the other writes; empty is nothing
}

// Line is one thing that will be done.
type Line struct {
	Verb   string // "shift"
	What   string // "release 41 100% → 0%, release 42 0% → 100%"
	Detail string // "2 of 2 healthy serve throughout"; may be empty
}

// NewForecast tells the plan that the facts lead to.
func NewForecast(f Facts) Forecast { return forecast(f, NewPlan(f)) }

func forecast(f Facts, plan Plan) Forecast {
	e := f.Environment
	told := plan
	if len(plan.Drift) > 0 { // what is left undone is what there is to tell
		told, f = Plan{Steps: plan.Drift}, f.unhalted().byKeeper()
	}
	story := newStory(f, told)
	return Forecast{
		Environment: e.Key,
		Live:        releaseInWords(e.Live, age(f.Now, e.LiveAt)),
		Goal:        releaseInWords(e.Goal, ""),
		Strategy:    strategyInWords(f),
		Lines:       story.lines,
		Note:        noteInWords(f, plan),
		Downtime:    story.downtime(),
		WayBack:     wayBack(f) + following(f),
		Clients:     story.clients(f),
		Schema:      "none",
		Destroys:    destroys(f),
		Common:      commonInWords(e),
	}
}

// String lays the forecast out for a terminal of fixed width.
func (f Forecast) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s   live: %s   goal: %s\n", f.Environment, f.Live, f.Goal)
	fmt.Fprintf(&b, "strategy %s\n\n", f.Strategy)
	if f.Note != "" {
		fmt.Fprintf(&b, "%s\n", f.Note)
	}
	if len(f.Lines) == 0 {
		return b.String()
	}
	width := f.width()
	for n, line := range f.Lines {
		text := fmt.Sprintf("%3d  %-10s %-*s   %s", n+1, line.Verb, width, line.What, line.Detail)
		fmt.Fprintln(&b, strings.TrimRight(text, " "))
	}
	fmt.Fprintf(&b, "\ndowntime: %s. way back: %s. schema: %s. destroys: %s.\n", f.Downtime, f.WayBack, f.Schema, f.Destroys)
	if f.Clients != "" {
		fmt.Fprintf(&b, "clients: %s.\n", f.Clients)
	}
	if f.Common != "" {
		fmt.Fprintf(&b, "%s.\n", f.Common)
	}
	return b.String()
}

// width is that of the longest text that has a detail beside it.
func (f Forecast) width() int {
	width := 0
	for _, line := range f.Lines {
		if line.Detail != "" {
			width = max(width, len([]rune(line.What)))
		}
	}
	return width
}

func noteInWords(f Facts, p Plan) string {
	switch {
	case len(p.Drift) > 0:
		return p.Note + "; this would be done otherwise:\n"
	case p.Note != "":
		return "nothing is done: " + p.Note
	case len(p.Steps) > 0:
		return ""
	case f.Environment.Goal.Number == 0:
		return "nothing to do: nothing is wanted, and nothing is there"
	default:
		return fmt.Sprintf("nothing to do: release %d serves alone", f.Environment.Goal.Number)
	}
}

func releaseInWords(r towpath.ReleaseRef, since string) string {
	if r.Number == 0 {
		return "nothing"
	}
	about := []string{r.Revision[:min(7, len(r.Revision))], since}
	about = slices.DeleteFunc(about, func(s string) bool { return s == "" })
	if len(about) == 0 {
		return fmt.Sprintf("release %d", r.Number)
	}
	return fmt.Sprintf("release %d (%s)", r.Number, strings.Join(about, ", "))
}

func strategyInWords(f Facts) string {
	d, s := f.Environment.Definition, newSituation(f)
	balancer, target, kind := "no balancer", "target process", string(d.Strategy.Kind)
	if d.Balancer.Kind() != towpath.BalancerNone {
		balancer = "balancer " + string(d.Balancer.Kind())
	}
	if d.Target.Hosts != nil {
		target = "target hosts"
	}
	if d.Strategy.Kind == towpath.StrategyCanary {
		kind += " (" + strings.Join(stepsInWords(d.Strategy.Steps), ", ") + ")"
	}
	if d.Strategy.Kind == towpath.StrategyRolling {
		kind = fmt.Sprintf("rolling by %d", s.batch())
		if s.surge() > 0 {
			kind += fmt.Sprintf(" with %d more meanwhile", s.surge())
		}
	}
	return fmt.Sprintf("%s, %s, %s, %s", kind, count(s.wanted, "instance"), target, balancer)
}

// isRemoval says that what is under way leaves nothing.
func isRemoval(e towpath.Environment) bool {
	return e.Deployment != nil && e.Deployment.Cause == towpath.CauseRemoval
}

// destroys says what is gone for good once the plan is done.
func destroys(f Facts) string {
	if !isRemoval(f.Environment) || len(f.Observed.Instances) == 0 {
		return "nothing"
	}
	return "the files of " + count(len(f.Observed.Instances), "instance")
}

// wayBack says what a rollback would take once the plan is done.
func wayBack(f Facts) string {
	e, s := f.Environment, newSituation(f)
	back := e.Live
	if e.Live.Number == e.Goal.Number {
		back = e.Previous()
	}
	standby := e.Definition.Strategy.Standby
	switch {
	case isRemoval(e):
		return "none; a deployment brings it back"
	case back.Number == 0 && e.Live.Number == 0:
		return "none, nothing was live before; if it fails, all of it is removed"
	case back.Number == 0:
		return "none, no release was good before"
	case e.Live.Number == e.Goal.Number && s.standsBy(back.Number):
		return fmt.Sprintf("one shift to release %d", back.Number)
	case e.Live.Number != e.Goal.Number && standby > 0 && e.Definition.Strategy.Kind != towpath.StrategyRolling && s.isBalanced() && s.hasSpareSlots():
		return fmt.Sprintf("one shift to release %d, for %s", back.Number, brief(standby))
	case e.Definition.Strategy.Kind == towpath.StrategyRolling:
		return fmt.Sprintf("release %d is started and probed again, batch by batch", back.Number)
	case s.isKeptRelease(back.Number) || len(s.hosts) > 0 && e.Live.Number != e.Goal.Number:
		return fmt.Sprintf("release %d is started and probed again", back.Number)
	default:
		return fmt.Sprintf("release %d is placed, started and probed again", back.Number)
	}
}

// standsBy says that enough instances of a release are ready to take all traffic.
func (s situation) standsBy(release int) bool {
	return len(filter(s.others, func(i towpath.Instance) bool { return i.Release == release && s.isStandby(i) })) >= s.wanted
}

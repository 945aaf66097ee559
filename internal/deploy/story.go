package deploy

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/towpath-cd/towpath"
)

// story tells a plan step by step, and keeps what is as it goes.
type story struct {
	facts   Facts
	lines   []Line
	served  bool          // something serves when it begins
	downAt  string        // the verb of the step after which nothing serves; empty where something always does
	downFor time.Duration // at most, while what was in flight was waited for
	upAgain bool
	left    string // who loses traffic first: "release 41"
}

func newStory(f Facts, p Plan) *story {
	s := &story{facts: f}
	s.served = newSituation(f).answering() > 0
	for len(p.Steps) > 0 {
		told := s.tell(p.Steps)
		for _, step := range p.Steps[:told] {
			s.advance(step.Operation)
		}
		p.Steps = p.Steps[told:]
	}
	return s
}

// advance goes on to what is after the operation, and notes when nothing serves any more.
func (s *story) advance(o Operation) {
	s.noteLeaving(o)
	s.facts = s.facts.after(o)
	up := newSituation(s.facts).answering() > 0
	switch {
	case !up && s.served && s.downAt == "":
		s.downAt = verb(o)
	case up && s.downAt != "":
		s.upAgain = true
	case s.downAt != "" && !s.upAgain:
		s.downFor += lasting(o)
	}
}

// lasting is how long a wait for what is in flight may take.
func lasting(o Operation) time.Duration {
	switch o := o.(type) {
	case Drain:
		return o.Within
	case EndStreams:
		return o.Within
	}
	return 0
}

// answering counts the instances that answer requests: with a balancer, those that it gives some.
func (s situation) answering() int {
	return len(filter(s.Observed.Instances, func(i towpath.Instance) bool {
		return isReady(i) && (!s.isBalanced() || s.traffic(i).Weight > 0)
	}))
}

func (s *story) downtime() string {
	within := s.facts.Environment.Definition.Health.Within
	switch {
	case !s.served && len(s.lines) > 0:
		return "none, nothing serves now"
	case s.downAt == "":
		return "none"
	case !s.upAgain:
		return "nothing serves afterwards"
	default:
		return fmt.Sprintf("from %s until release %d passes its probe, at most %s", s.downAt, s.facts.Environment.Goal.Number, brief(s.downFor+within))
	}
}

// tell adds the line of the first step, or of several that people see as one, and answers how many it told.
func (s *story) tell(steps []Step) int {
	switch o := steps[0].Operation.(type) {
	case Conclude:
		if away := newSituation(s.facts).missingInWords(); away != "" {
			s.add("leave out", away, "")
		}
		return 1
	case BeginWatch, BeginStep, LoseHook:
		return 1
	case Start:
		return s.tellStart(o, steps)
	case StandBy:
		return s.tellStandBy(o, steps)
	case Assign:
		return 1
	case StopSingle:
		return s.tellMove(o, steps)
	case Forget, Stop:
		if told := farewell(steps); told > 0 {
			s.add("remove", s.instances(InstancesOf(o)), "")
			return told
		}
		if _, is := o.(Forget); is && len(steps) > 1 {
			return 1
		}
	}
	s.tellOne(steps[0].Operation)
	return 1
}

// tellOne adds the line of an operation that stands for itself.
func (s *story) tellOne(operation Operation) {
	health := s.facts.Environment.Definition.Health
	switch o := operation.(type) {
	case Check:
		s.add("check", "room for release "+fmt.Sprint(o.Release), "")
	case Place:
		s.add("place", fmt.Sprintf("release %d: %s", o.Release, count(len(o.Instances), "instance")), s.exchangedAssets(o))
	case Probe:
		s.add("probe", fmt.Sprintf("%s: %s (%s)", s.releases(o.Instances), probeInWords(health), brief(o.Within)), "")
	case Test:
		s.add("test", "the strategy's script against "+s.releases(o.Instances), "")
	case RunHook:
		s.add("run", "the hook "+string(o.Hook), "")
	case Hold:
		s.add("hold", fmt.Sprintf("release %d at %d%% for %s", s.facts.Environment.Goal.Number, o.Share, brief(o.Until.Sub(s.facts.Now))), "")
	case Watch:
		s.add("watch", s.limits(o), "")
	case AwaitPromotion:
		s.add("wait", "for a person to promote "+fmt.Sprintf("release %d", s.facts.Environment.Goal.Number), "")
	case Shift:
		s.add("shift", s.shares(o), s.throughout(o))
	case Drain:
		what, detail := s.draining(o)
		s.add("drain", what, detail)
	case EndStreams:
		s.add("streams", fmt.Sprintf("of %s may end for %s, then they are closed", s.those(o.Instances), brief(o.Within)), "")
	case Shorten:
		s.add("shorten", s.shortening(o), "")
	case Await:
		s.add("wait", s.waiting(o), "")
	case StartSingle:
		s.add("start", o.Process+" of "+s.ofInstance(o.Instance), "")
	case Stop:
		s.add("stop", s.instances(o.Instances), s.inFlight())
	default:
		s.add(verb(o), s.instances(InstancesOf(o)), "")
	}
}

// waiting tells for how long, where a clock ends it.
func (s *story) waiting(o Await) string {
	if o.Until.IsZero() {
		return o.Why
	}
	return brief(o.Until.Sub(s.facts.Now)) + ": " + o.Why
}

// limits tells what the goal has to stand, and what happens if it does not.
func (s *story) limits(o Watch) string {
	d, e := s.facts.Environment.Definition.Watch, s.facts.Environment
	what := fmt.Sprintf("%s: errors at most %s", brief(o.Until.Sub(s.facts.Now)), percent(d.Errors))
	if d.P99 > 0 {
		what += ", p99 at most " + d.P99.String()
	}
	if e.Live.Number == 0 {
		return what + "; else it is removed"
	}
	return fmt.Sprintf("%s; else back to release %d", what, e.Live.Number)
}

func (s *story) tellStart(o Start, steps []Step) int {
	what, detail := s.starting(o)
	if len(steps) > 1 {
		if p, is := steps[1].Operation.(Probe); is && slices.Equal(p.Instances, o.Instances) {
			health := s.facts.Environment.Definition.Health
			s.add("start", fmt.Sprintf("%s, wait for %s (%s)", what, probeInWords(health), brief(p.Within)), detail)
			return 2
		}
	}
	s.add("start", what, detail)
	return 1
}

// tellMove tells that a single process ends, and where it runs then.
func (s *story) tellMove(o StopSingle, steps []Step) int {
	what := o.Process + " of " + s.ofInstance(o.Instance)
	for n, step := range steps[1:] {
		switch next := step.Operation.(type) {
		case Assign:
		case StartSingle:
			if next.Process != o.Process {
				s.add("stop", what, "")
				return 1
			}
			s.add("stop", what+", then start that of "+s.ofInstance(next.Instance), "never two at once")
			return n + 2
		default:
			s.add("stop", what, "")
			return 1
		}
	}
	s.add("stop", what, "")
	return 1
}

// ofInstance names the release of an instance, and its slot, if those are fixed.
func (s *story) ofInstance(id string) string {
	number, _ := towpath.ParseInstanceID(id)
	name := fmt.Sprintf("release %d", number)
	if slot := s.facts.slotOf(id); slot != "" {
		name += " on " + slot
	}
	return name
}

// starting names what a start brings up: where, if slots are fixed or one comes after the other, and instead of what.
func (s *story) starting(o Start) (what, detail string) {
	what = s.releases(o.Instances)
	after := s.facts
	after.Observed.Instances = slices.Clone(after.Observed.Instances)
	after.start(o)
	var displaced, slots []string
	for n, i := range s.facts.Observed.Instances {
		if isStarted(i) && !isStarted(after.Observed.Instances[n]) {
			displaced = append(displaced, i.ID)
		}
		if slices.Contains(o.Instances, i.ID) && i.Slot != "" {
			slots = append(slots, i.Slot)
		}
	}
	switch {
	case len(slots) > 0:
		slices.Sort(slots)
		what += " on " + list(slots)
	case s.facts.Environment.Definition.Strategy.Kind == towpath.StrategyRolling:
		what += ": " + count(len(o.Instances), "instance")
	}
	if len(displaced) > 0 {
		what += " in place of " + s.releases(displaced)
		detail = s.inFlight()
	}
	return what, detail
}

func (s *story) tellStandBy(o StandBy, steps []Step) int {
	told := farewell(steps[1:])
	what := fmt.Sprintf("%s for %s", s.releases(o.Instances), brief(o.Until.Sub(s.facts.Now)))
	if told > 0 {
		what += ", then stop"
	}
	s.add("stand by", what, "")
	return 1 + told
}

// farewell answers how many of the steps take the same instances away: out of the balancer, stopped, removed.
func farewell(steps []Step) int {
	for n, step := range steps {
		switch step.Operation.(type) {
		case Forget, Stop:
		case Remove:
			return n + 1
		default:
			return 0
		}
	}
	return 0
}

func (s *story) add(verb, what, detail string) {
	s.lines = append(s.lines, Line{Verb: verb, What: what, Detail: detail})
}

// shares tells who gets traffic instead of whom, by release, or by instance where only one release is concerned.
func (s *story) shares(o Shift) string {
	before, after := shareOf(s.facts, release), shareOf(s.facts.after(o), release)
	if len(before) < 2 && len(after) < 2 && fmt.Sprint(before) == fmt.Sprint(after) {
		before, after = shareOf(s.facts, instance), shareOf(s.facts.after(o), instance)
	}
	var parts []string
	for _, i := range slices.SortedFunc(slices.Values(s.facts.Observed.Instances), byAge) {
		for _, name := range []string{release(i), instance(i)} {
			if before[name] != after[name] {
				parts = append(parts, fmt.Sprintf("%s %d%% → %d%%", name, before[name], after[name]))
			}
		}
	}
	if len(parts) == 0 {
		return "as it is, to where the definition says"
	}
	return strings.Join(slices.Compact(parts), ", ")
}

// shareOf answers each one's share of new requests, in percent.
func shareOf(f Facts, name func(towpath.Instance) string) map[string]int {
	shares, total := make(map[string]int), 0
	for _, i := range f.Observed.Instances {
		if i.Traffic.Weight > 0 {
			shares[name(i)] += i.Traffic.Weight
			total += i.Traffic.Weight
		}
	}
	for n := range shares {
		shares[n] = (shares[n]*100 + total/2) / total
	}
	return shares
}

func release(i towpath.Instance) string  { return fmt.Sprintf("release %d", i.Release) }
func instance(i towpath.Instance) string { return i.ID }

// throughout tells how many healthy instances have traffic at the least, before and after.
func (s *story) throughout(o Shift) string {
	before, after := newSituation(s.facts), newSituation(s.facts.after(o))
	healthy := after.answering()
	if before.answering() > 0 {
		healthy = min(healthy, before.answering())
	}
	if healthy == 0 {
		return "nothing serves from here"
	}
	return fmt.Sprintf("%d of %d healthy serve throughout", min(healthy, before.wanted), before.wanted)
}

// inFlight warns where nobody can say whether requests are in flight.
func (s *story) inFlight() string {
	if newSituation(s.facts).isBalanced() {
		return ""
	}
	return "the process has to answer what is in flight"
}

// releases names what the instances are of: "release 41".
func (s *story) releases(names []string) string {
	var parts []string
	for _, i := range slices.SortedFunc(slices.Values(s.facts.Observed.Instances), byAge) {
		if slices.Contains(names, i.ID) && !slices.Contains(parts, release(i)) {
			parts = append(parts, release(i))
		}
	}
	return strings.Join(parts, ", ")
}

// instances names what the instances are of, and how many they are.
func (s *story) instances(names []string) string {
	return s.releases(names) + ": " + count(len(names), "instance")
}

func probeInWords(h towpath.HealthDefinition) string {
	switch {
	case h.HTTP != "":
		return h.HTTP
	case h.Command != "":
		return "its health command"
	default:
		return "its port"
	}
}

// verb is the first word of an operation.
func verb(o Operation) string {
	word, _, _ := strings.Cut(o.String(), " ")
	return word
}

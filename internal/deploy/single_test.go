package deploy_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/deploy"
)

// single is a process of which at most one may run, as it really runs. It runs on while its host does not answer.
type single struct{ process, instance, slot string }

// lookAtSingles answers what drivers see of those that run.
func (w *world) lookAtSingles() (seen []towpath.Single) {
	for _, s := range w.singles {
		isAway := w.isHostAway(w.hostOf(s.slot))
		if isAway && w.hosts.forgotten {
			continue
		}
		state := towpath.InstanceRunning
		if isAway {
			state = towpath.InstanceUnknown
		}
		seen = append(seen, towpath.Single{Process: s.process, Instance: s.instance, Slot: s.slot, State: state})
	}
	return seen
}

func (w *world) startSingle(o deploy.StartSingle) error {
	p, err := w.process(o.Instance)
	if err != nil {
		return err
	}
	s := single{o.Process, o.Instance, p.slot}
	if !slices.Contains(w.singles, s) {
		w.singles = append(w.singles, s)
	}
	return nil
}

func (w *world) stopSingle(o deploy.StopSingle) error {
	n := slices.IndexFunc(w.singles, func(s single) bool { return s.process == o.Process && s.instance == o.Instance })
	switch {
	case n < 0:
		return nil
	case w.isHostAway(w.hostOf(w.singles[n].slot)):
		return fmt.Errorf("%s: %w", o.Instance, errNoAnswer)
	}
	w.singles = slices.Delete(slices.Clone(w.singles), n, n+1)
	return nil
}

// oneRunsAtMost is what single processes owe: never two at once, wherever, but for those that a person said are gone.
func oneRunsAtMost(w *world, o deploy.Operation, _ towpath.Observation) (func() error, error) {
	return func() error {
		running := map[string]string{}
		for _, s := range w.singles {
			if w.environment.Singles[s.process].IsGone(s.instance) {
				continue
			}
			if other := running[s.process]; other != "" {
				return fmt.Errorf("%s runs beside %s and %s after %q", s.process, other, s.instance, o)
			}
			running[s.process] = s.instance
		}
		return nil
	}, nil
}

// singlesFollowTheTraffic belongs to it: one is started where it is recorded for, of a release that serves, and its files stay
// for as long as it runs.
func singlesFollowTheTraffic(w *world, o deploy.Operation, _ towpath.Observation) (func() error, error) {
	switch o := o.(type) {
	case deploy.StartSingle:
		if recorded := w.environment.Singles[o.Process].Instance; recorded != o.Instance {
			return nil, fmt.Errorf("%q, and it is recorded for %q", o, recorded)
		}
		if releaseOf(o.Instance) != w.environment.Goal.Number {
			return nil, fmt.Errorf("%q, and the goal is release %d", o, w.environment.Goal.Number)
		}
		for id, m := range w.members {
			if m.weight > 0 && releaseOf(id) == w.environment.Goal.Number || w.isNeededElsewhere() {
				return nothingMore, nil
			}
		}
		if w.isBalanced() {
			return nil, fmt.Errorf("%q before the traffic has moved", o)
		}
	case deploy.Remove:
		for _, s := range w.singles {
			if slices.Contains(o.Instances, s.instance) {
				return nil, fmt.Errorf("%q, and %s runs from there", o, s.process)
			}
		}
	}
	return nothingMore, nil
}

// isNeededElsewhere says that traffic stays where it is because hosts are away.
func (w *world) isNeededElsewhere() bool { return w.leftOut() > 0 }

// singlesSatisfied answers which single process does not run as it should.
func (w *world) singlesSatisfied() error {
	wanted := 0
	if w.environment.Goal.Number > 0 {
		wanted = len(w.definition().Singles())
	}
	if len(w.singles) != wanted {
		return fmt.Errorf("of %d single processes, %d run", wanted, len(w.singles))
	}
	for _, s := range w.singles {
		if p := w.processes[s.instance]; p == nil || p.release != w.environment.Goal.Number {
			return fmt.Errorf("%s runs beside %s, which is not the goal's", s.process, s.instance)
		}
	}
	return nil
}

// settleSingles lets what is missing run beside an instance.
func (w *world) settleSingles(id string) {
	for _, p := range w.definition().Singles() {
		if len(w.singles) == 0 {
			w.singles = append(w.singles, single{p.Name, id, w.processes[id].slot})
			w.happens(towpath.SingleAssigned{Process: p.Name, Instance: id, Slot: w.processes[id].slot, At: w.now})
		}
	}
}

// singleDies ends one, whatever looks after it.
func (c *chaos) singleDies() {
	if len(c.singles) > 0 {
		c.singles = slices.Clone(c.singles[1:])
	}
}

// sayGone is a person who says that what does not answer does not run any more, rightly or not.
func (c *chaos) sayGone() {
	a, is := c.environment.Singles["clock"]
	if is && c.isHostAway(c.hostOf(a.Slot)) {
		c.happens(towpath.SingleGone{Process: "clock", By: "ana", At: c.now})
	}
}

// single has a clock of which at most one may run, beside an instance.
func (s *story) single(id string) *story {
	slot := ""
	for _, i := range s.instances {
		if i.ID == id {
			slot = i.Slot
		}
	}
	s.environment.Definition.Processes = []towpath.ProcessDefinition{{Name: "clock", Single: true}}
	s.environment.Singles = map[string]towpath.Assignment{"clock": {Instance: id, Slot: slot}}
	s.singles = []towpath.Single{{Process: "clock", Instance: id, Slot: slot, State: towpath.InstanceRunning}}
	return s
}

func TestWhatASingleProcessRunsFromIsTakenAwayOnlyOnceItHasEnded(t *testing.T) {
	facts := shop().gated().serves(release42).places(towpath.ReleaseRef{Number: 40}).single("r40-3").wants(release41).facts()
	isStopped := false
	for _, step := range deploy.NewPlan(facts).Steps {
		switch o := step.Operation.(type) {
		case deploy.StopSingle:
			isStopped = isStopped || o.Instance == "r40-3"
		case deploy.Remove:
			if slices.Contains(o.Instances, "r40-3") && !isStopped {
				t.Fatalf("%q while clock runs from there", o)
			}
			if slices.Contains(o.Instances, "r40-3") {
				return
			}
		}
	}
	t.Fatal("r40-3 is never taken away")
}

func TestAProcessThatAPersonSaidIsGoneIsStartedElsewhereAndEndedWhenItsHostIsBack(t *testing.T) {
	s := shop().onHosts(3).rolling(1, 0).minimum(1).serves(release41).single("r41-3").away("web3")
	for n := range s.instances { // the instance there is replaced by nothing: its host does not answer
		if s.instances[n].ID == "r41-3" {
			s.instances[n].State = towpath.InstanceGone
		}
	}
	if at := startsOf(s.facts()); len(at) > 0 {
		t.Fatalf("it is started beside %v", at)
	}
	s.environment, _ = s.environment.Next(towpath.SingleGone{Process: "clock", By: "ana", At: noon})
	if at := startsOf(s.facts()); len(at) != 1 || at[0] != "r41-1" {
		t.Fatalf("it is started beside %v", at)
	}
	s.slots = nil // it is back, with what it had
	steps := deploy.NewPlan(s.facts()).Steps
	if !slices.ContainsFunc(steps, func(p deploy.Step) bool { return p.Operation == deploy.StopSingle{Process: "clock", Instance: "r41-3"} }) {
		t.Fatalf("%+v", steps)
	}
}

// startsOf answers beside which instances a plan starts single processes.
func startsOf(f deploy.Facts) (at []string) {
	for _, step := range deploy.NewPlan(f).Steps {
		if o, is := step.Operation.(deploy.StartSingle); is {
			at = append(at, o.Instance)
		}
	}
	return at
}

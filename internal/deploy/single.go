package deploy

import (
	"slices"
	"strings"

	"github.com/towpath-cd/towpath"
)

// A single process is the environment's: at any moment at most one runs, of whatever release. It is stopped where it is,
// recorded for where it is to be, and only then started there. What runs on a host that does not answer counts as running
// until the host says otherwise, or a person does.

// singles brings the single processes to the goal's instances, once those have the traffic. What goes back, or keeps up what
// is live, is not held up by a host that does not answer; the process waits for it (awaitSingles).
func singles(s situation) []Step {
	for _, name := range s.singleNames() {
		if steps := s.single(name); len(steps) > 0 {
			return steps
		}
	}
	if !s.leavesOut() && len(s.missing()) == 0 {
		return awaitSingles(s)
	}
	return nil
}

// endSingles stops those of other releases: before what cannot run beside itself is started.
func endSingles(s situation) []Step {
	for _, p := range s.Observed.Singles {
		if release, _ := towpath.ParseInstanceID(p.Instance); release != s.Environment.Goal.Number && s.isInReach(p.Slot) {
			return s.endSingle(p, "what is replaced ends first")
		}
	}
	return nil
}

// awaitSingles waits for hosts on which single processes may run that are to run elsewhere.
func awaitSingles(s situation) []Step {
	why := s.singlesInWords()
	if why == "" {
		return nil
	}
	return one(Await{Why: why}, "at any moment at most one runs")
}

// singlesInWords tells people which single processes are not moved, and why; empty where all are.
func (s situation) singlesInWords() string {
	for _, name := range s.singleNames() {
		if where := s.unsure(name); where != "" && s.isSingle(name) {
			return name + " is not started: " + where + " does not answer, and it may run there"
		}
	}
	return ""
}

// single answers the next steps that bring one process to where it belongs.
func (s situation) single(name string) []Step {
	if steps := s.recordSeen(name); len(steps) > 0 {
		return steps
	}
	known := s.Environment.Singles[name]
	home, has := s.homeOf(name)
	for _, p := range s.seenOf(name) {
		if (!has || p.Instance != home.ID) && s.isInReach(p.Slot) {
			return s.endSingle(p, "at any moment at most one %s runs", name)
		}
	}
	if !has || s.unsure(name) != "" || !s.isInReach(home.Slot) {
		return nil
	}
	if known.Instance != home.ID || known.IsGone(home.ID) {
		return one(Assign{Process: name, Instance: home.ID, Slot: home.Slot}, "it has ended wherever it was")
	}
	if len(s.seenOf(name)) > 0 {
		return nil
	}
	return one(StartSingle{Process: name, Instance: home.ID}, "release %d is the goal", home.Release)
}

// recordSeen records where a process runs that is recorded for elsewhere: a keeper that went back without its server has moved
// it, or the server was restored.
func (s situation) recordSeen(name string) []Step {
	seen, known := s.seenOf(name), s.Environment.Singles[name]
	if len(seen) != 1 || seen[0].Instance == known.Instance || !s.isInReach(seen[0].Slot) || s.unsure(name) != "" {
		return nil
	}
	return one(Assign{Process: name, Instance: seen[0].Instance, Slot: seen[0].Slot}, "it runs there")
}

func (s situation) endSingle(p towpath.Single, reason string, args ...any) []Step {
	return one(StopSingle{Process: p.Process, Instance: p.Instance}, reason, args...)
}

// homeOf answers the instance of the goal beside which a process is to run: the one where it is, or the first that is
// healthy and can be reached.
func (s situation) homeOf(name string) (home towpath.Instance, has bool) {
	if !s.isSingle(name) {
		return home, false
	}
	at := slices.IndexFunc(s.chosen, func(i towpath.Instance) bool {
		a := s.Environment.Singles[name]
		return i.ID == a.Instance && !a.IsGone(i.ID)
	})
	if at < 0 {
		at = slices.IndexFunc(s.chosen, func(i towpath.Instance) bool { return isReady(i) && !s.isOutOfReach(i) })
	}
	if at < 0 {
		return home, false
	}
	return s.chosen[at], true
}

// unsure answers what does not answer, and may run a process beside another instance than it belongs to; empty where
// nothing does.
func (s situation) unsure(name string) string {
	home, _ := s.homeOf(name)
	a := s.Environment.Singles[name]
	if a.Instance != home.ID && !a.IsGone(a.Instance) && !s.isInReach(a.Slot) {
		return machineOf(a.Slot)
	}
	for _, p := range s.seenOf(name) {
		if p.Instance != home.ID && !s.isInReach(p.Slot) {
			return machineOf(p.Slot)
		}
	}
	return ""
}

// seenOf are the processes of a name that may run, without those that a person said are gone and nobody can ask.
func (s situation) seenOf(name string) []towpath.Single {
	a := s.Environment.Singles[name]
	return slices.DeleteFunc(slices.Clone(s.Observed.Singles), func(p towpath.Single) bool {
		return p.Process != name || a.IsGone(p.Instance) && !s.isInReach(p.Slot)
	})
}

// isInReach says that the host of a slot answers. One that the definition does not have any more cannot be asked.
func (s situation) isInReach(slot string) bool {
	if len(s.hosts) == 0 || slot == "" {
		return true
	}
	return slices.ContainsFunc(s.hosts, func(h host) bool { return h.name == machineOf(slot) && h.problem == "" })
}

// OutOfReach answers the single processes that may run on hosts that do not answer, by name, with the host. Each waits for its
// host, or for a person's word that it is gone there.
func OutOfReach(f Facts) map[string]string {
	s, found := newSituation(f), make(map[string]string)
	for name, a := range f.Environment.Singles {
		if a.Instance != "" && !a.IsGone(a.Instance) && !s.isInReach(a.Slot) {
			found[name] = machineOf(a.Slot)
		}
	}
	return found
}

// machineOf answers the host of a slot, whatever slots it has now.
func machineOf(slot string) string {
	name, _, _ := strings.Cut(slot, "/")
	return name
}

func (s situation) isSingle(name string) bool {
	return slices.ContainsFunc(s.Environment.Definition.Singles(), func(p towpath.ProcessDefinition) bool { return p.Name == name })
}

// singleNames are the processes that are to be single, and what is seen as such besides, in a fixed order.
func (s situation) singleNames() []string {
	var names []string
	for _, p := range s.Environment.Definition.Singles() {
		names = append(names, p.Name)
	}
	for _, p := range s.Observed.Singles {
		names = append(names, p.Process)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// singlesOf stops what runs beside instances whose files are to go.
func (s situation) singlesOf(instances []towpath.Instance) []Step {
	for _, p := range s.Observed.Singles {
		if slices.Contains(ids(instances), p.Instance) && s.isInReach(p.Slot) {
			return s.endSingle(p, "the files that it runs from are not needed any more")
		}
	}
	return nil
}

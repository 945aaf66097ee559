package towpath

import (
	"maps"
	"slices"
	"time"
)

// WebProcess is the name of the process that serves requests: the target's own. The others run beside it.
const WebProcess = "web"

// ProcessDefinition is a process that runs beside the web process of an environment.
type ProcessDefinition struct {
	Name    string         // "jobs": lower-case letters, digits and dashes
	Command string         `json:",omitempty"` // run by sh -c in the release's folder
	Single  bool           `json:",omitempty"` // the environment's: at any moment at most one runs, of whatever release
	Stop    StopDefinition `json:",omitzero"`
}

// Beside lists the processes that every instance has beside its web process.
func (d EnvironmentDefinition) Beside() []ProcessDefinition {
	return slices.DeleteFunc(slices.Clone(d.Processes), func(p ProcessDefinition) bool { return p.Single })
}

// Process is what a target says of a process that an instance has beside its web process. An instance whose processes do
// not run is not healthy.
type Process struct {
	Name    string
	State   InstanceState
	Problem string    `json:",omitempty"` // why it does not run, or not for long
	Since   time.Time // since when it has been in its State
	Log     []string  `json:",omitempty"` // what it said last, where it does not run
}

// Singles lists the processes that are the environment's, and not an instance's: at any moment at most one runs.
func (d EnvironmentDefinition) Singles() []ProcessDefinition {
	return slices.DeleteFunc(slices.Clone(d.Processes), func(p ProcessDefinition) bool { return !p.Single })
}

// Single is what a target says of a process of which at most one runs. One that is certainly ended is not told of.
type Single struct {
	Process  string // its name
	Instance string // whose files it runs from
	Slot     string `json:",omitempty"` // that instance's, where slots are fixed
	State    InstanceState
	Problem  string    `json:",omitempty"`
	Since    time.Time // since when it has been in its State
	Log      []string  `json:",omitempty"` // what it said last, where it does not run
}

// Assignment says beside which instance a single process may run. It is recorded before it is started there, and only once
// it has ended wherever it was: so it holds also where a host does not answer and a keeper knows nothing any more.
type Assignment struct {
	Instance string
	Slot     string   `json:",omitempty"` // that instance's, where slots are fixed
	Gone     []string `json:",omitempty"` // instances beside which it does not run any more, by a person's word: their hosts do not answer
}

// mostGone is how many words of people are remembered of a process.
const mostGone = 20

// SingleAssigned is the keeper's word that a single process may run beside an instance from now on, and nowhere else.
type SingleAssigned struct {
	Epoch    Epoch
	Process  string
	Instance string
	Slot     string
	At       time.Time
}

func (e SingleAssigned) when() time.Time                 { return e.At }
func (e SingleAssigned) refusedBy(env Environment) error { return refuseEpoch(env, e.Epoch) }

func (e SingleAssigned) apply(t *environmentTransition) {
	gone := slices.Clone(t.environment.Singles[e.Process].Gone)
	gone = slices.DeleteFunc(gone, func(id string) bool { return id == e.Instance })
	t.assign(e.Process, Assignment{Instance: e.Instance, Slot: e.Slot, Gone: gone})
}

// SingleGone is a person's word that a single process does not run any more where it was, though its host does not answer:
// it may be started elsewhere.
type SingleGone struct {
	Process  string
	Instance string `json:",omitempty"` // beside which it was; empty is wherever it is recorded to be
	By       string
	At       time.Time
}

func (e SingleGone) when() time.Time { return e.At }

func (e SingleGone) refusedBy(env Environment) error {
	a, known := env.Singles[e.Process]
	switch {
	case !known || a.Instance == "":
		return Errorf(CodeNotFound, "%s has no single process %q that runs anywhere", env.Key, e.Process).
			WithHint("processes of which at most one runs are `single` in the pipeline file")
	case e.Instance != "" && e.Instance != a.Instance:
		return Errorf(CodeConflict, "%s of %s is not beside %s any more, but beside %s", e.Process, env.Key, e.Instance, a.Instance).
			WithHint("look at the environment again: what was said of one host says nothing of another")
	case a.IsGone(a.Instance):
		return Errorf(CodeConflict, "%s of %s was said to be gone already", e.Process, env.Key)
	}
	return nil
}

func (e SingleGone) apply(t *environmentTransition) {
	a := t.environment.Singles[e.Process]
	gone := append(slices.Clone(a.Gone), a.Instance)
	a.Gone = gone[max(0, len(gone)-mostGone):]
	t.assign(e.Process, a)
	t.wake()
}

// IsGone says that a person said that the process does not run beside an instance any more.
func (a Assignment) IsGone(instance string) bool { return slices.Contains(a.Gone, instance) }

// assign leaves what others read as it is.
func (t *environmentTransition) assign(process string, a Assignment) {
	all := make(map[string]Assignment, len(t.environment.Singles)+1)
	maps.Copy(all, t.environment.Singles)
	all[process] = a
	t.environment.Singles = all
}

package towpath

import (
	"slices"
	"time"
)

// ErrandState is what has become of a command that a person runs in an environment.
type ErrandState string

// The states of an errand.
const (
	ErrandWaiting ErrandState = "waiting" // for the environment's keeper
	ErrandRunning ErrandState = "running"
	ErrandEnded   ErrandState = "ended"
)

// ErrandStates lists every state.
var ErrandStates = []ErrandState{ErrandWaiting, ErrandRunning, ErrandEnded}

const (
	// ErrandPatience is how long a command waits for the environment's keeper.
	ErrandPatience = time.Minute
	// ErrandSlack is how much longer than its limit a command may take to be told of.
	ErrandSlack = 2 * time.Minute
	// MostErrands is how many commands run in an environment at a time.
	MostErrands = 8
)

// Errand is one command that a person runs in the live release of an environment, beside what is deployed there.
type Errand struct {
	ID          string
	Environment string   // key
	Instance    string   // ID: in whose files it runs
	Slot        string   `json:",omitempty"`
	Release     int      // number of the instance's
	Command     []string // program and arguments, with secrets masked: what it is run with is kept nowhere
	By          string
	Reason      string        `json:",omitempty"`
	Within      time.Duration // it is ended after so long
	Terminal    bool          `json:",omitempty"`

	State       ErrandState
	Epoch       Epoch // of the keeper that runs it
	RequestedAt time.Time
	BeganAt     time.Time `json:",omitzero"`
	EndedAt     time.Time `json:",omitzero"`
	ExitCode    int       // -1 where it has none: it did not begin, or nobody saw its end
	Outcome     string    `json:",omitempty"` // how it ended, for people
}

// NewErrand checks what a person asks for against what was seen of the environment. Host and instance say where; where both
// are empty it is the first healthy instance of the live release.
func NewErrand(e Environment, seen Observation, wish Errand, host, instance string) (Errand, error) {
	switch {
	case len(wish.Command) == 0 || wish.Command[0] == "":
		return wish, Errorf(CodeInvalid, "there is no command to run")
	case e.Live.Number == 0:
		return wish, Errorf(CodeConflict, "nothing is live in %s", e.Key).WithHint("a command runs in the live release")
	case e.Keeper.Worker == "":
		return wish, Errorf(CodeUnavailable, "nobody keeps %s since %s", e.Key, e.UnattendedSince.UTC().Format("2 Jan 15:04:05 MST")).
			WithHint("commands are run by the worker that keeps it: see towpath workers, and start that one")
	}
	found, err := e.errandPlace(seen, host, instance)
	if err != nil {
		return wish, err
	}
	wish.Environment, wish.Instance, wish.Slot, wish.Release = e.Key, found.ID, found.Slot, found.Release
	wish.State, wish.ExitCode = ErrandWaiting, -1
	return wish, nil
}

// errandPlace finds the instance of the live release that is meant.
func (e Environment) errandPlace(seen Observation, host, id string) (Instance, error) {
	of := slices.DeleteFunc(slices.Clone(seen.Instances), func(i Instance) bool {
		return i.Release != e.Live.Number || i.State != InstanceRunning
	})
	slots := map[string]string{}
	for _, s := range seen.Slots {
		slots[s.Name] = s.Host
	}
	isMeant := func(i Instance) bool { return (host == "" || slots[i.Slot] == host) && (id == "" || i.ID == id) }
	isHealthy := func(i Instance) bool { return i.Health == HealthPassing }
	meant := slices.DeleteFunc(slices.Clone(of), func(i Instance) bool { return !isMeant(i) })
	if first := slices.IndexFunc(meant, isHealthy); first >= 0 {
		return meant[first], nil
	}
	if len(meant) > 0 && host+id != "" {
		return meant[0], nil // who names a place may want to see why it is sick
	}
	switch {
	case len(of) == 0:
		return Instance{}, Errorf(CodeConflict, "no instance of release %d is seen to run in %s", e.Live.Number, e.Key)
	case len(meant) == 0:
		return Instance{}, Errorf(CodeNotFound, "release %d, which is live in %s, has no running instance there", e.Live.Number, e.Key).
			WithHint("towpath environments %s lists them", e.Key)
	}
	return Instance{}, Errorf(CodeConflict, "no instance of release %d is healthy in %s: %s", e.Live.Number, e.Key, meant[0].Problem).
		WithHint("--instance %s runs it there all the same", meant[0].ID)
}

// Begin has a keeper run the command: the one that holds the environment's epoch, once.
func (e Errand) Begin(of Environment, epoch Epoch, at time.Time) (Errand, error) {
	switch {
	case of.Epoch != epoch:
		return e, Errorf(CodeStale, "epoch %s is not the current one of %s", epoch, of.Key)
	case e.State == ErrandRunning && e.Epoch == epoch:
		return e, nil // its answer was lost
	case e.State != ErrandWaiting:
		return e, Errorf(CodeConflict, "the command has %s", e.State)
	}
	e.State, e.Epoch, e.BeganAt = ErrandRunning, epoch, at
	return e, nil
}

// End notes how the command ended. What has ended stays as it is.
func (e Errand) End(code int, outcome string, at time.Time) Errand {
	if e.State != ErrandEnded {
		e.State, e.ExitCode, e.Outcome, e.EndedAt = ErrandEnded, code, outcome, at
	}
	return e
}

// Lost says why nobody will tell how the command ended; empty where somebody may.
func (e Errand) Lost(of Environment, at time.Time) string {
	switch {
	case e.State == ErrandWaiting && !at.Before(e.RequestedAt.Add(ErrandPatience)):
		return "it was never begun: the keeper of " + e.Environment + " did not take it within " + ErrandPatience.String()
	case e.State != ErrandRunning:
		return ""
	case of.Epoch.Holder != e.Epoch.Holder:
		return "its keeper is gone, and the command ends with it"
	case !at.Before(e.BeganAt.Add(e.Within + ErrandSlack)):
		return "its keeper did not tell how it ended"
	}
	return ""
}

package towpath

import (
	"fmt"
	"slices"
	"time"
)

// HistoryLength is how many good releases an environment remembers to go back to.
const HistoryLength = 20

// Environment is a place where one release of a pipeline is live, with what is wanted of it and what is known of its
// past. What is observed of it now is an Observation.
type Environment struct {
	Key               string // "pipeline/name", unique on the server
	Project           string // project's ID
	Pipeline          string
	Name              string
	Definition        EnvironmentDefinition
	DefinitionVersion int // counts from 1
	Serial            int // rises whenever the keeper has something new to do

	Goal    ReleaseRef // what should serve; the zero value is nothing
	Live    ReleaseRef // what was proved to serve; the last of History
	LiveAt  time.Time
	History []ReleaseRef // releases that were live, oldest first; what was rolled back from is no longer in it
	Failed  []ReleaseRef // releases that failed here, and are no goal again until a person says so

	Deployment *Deployment  // the one under way
	Queue      []Deployment // those that wait, in their order
	Pin        *Pin
	Freeze     *Freeze   // of this environment alone
	Freezes    []Freeze  `json:",omitempty"` // that reach further
	Policy     Policy    `json:",omitzero"`  // what the server allows, whatever the definition says
	OpensAt    time.Time `json:",omitzero"`  // when what waits may start, where a window is awaited
	Halted     string    // why nothing is done by itself until a person says so; empty usually

	Epoch           Epoch
	Keeper          KeeperLease
	Machine         string // worker's ID: the only one that can keep it, where instances run on the keeper's machine
	UnattendedSince time.Time

	Idle         map[string]time.Time  // by instance's ID: since when it has been without traffic
	StandbyUntil time.Time             // until when the releases before the live one stay ready
	Singles      map[string]Assignment `json:",omitempty"` // by process: where those run of which at most one may
	LastInstance int                   // highest serial that an instance ever had here
	RemovedAt    time.Time             `json:",omitzero"` // when a person's removal was done; zero while the environment is wanted
}

// KeeperLease is the right of a worker to perform in an environment.
type KeeperLease struct {
	Worker  string // worker's ID; empty is nobody
	Expires time.Time
}

// Pin holds an environment after a rollback: a release of that change or an older one is not deployed again by itself.
type Pin struct {
	From   ReleaseRef // what was rolled back from
	By     string
	Reason string
	At     time.Time
}

// EnvironmentKey answers the key of an environment: "shop/production".
func EnvironmentKey(pipeline, name string) string { return pipeline + "/" + name }

// NewEnvironment makes an environment that nothing runs in yet.
func NewEnvironment(project, pipeline string, d EnvironmentDefinition, at time.Time) Environment {
	return Environment{
		Key: EnvironmentKey(pipeline, d.Name), Project: project, Pipeline: pipeline, Name: d.Name,
		Definition: d, DefinitionVersion: 1, UnattendedSince: at,
	}
}

// Previous is what a rollback goes back to while nothing else is the goal; the zero value where there is nothing.
func (e Environment) Previous() ReleaseRef {
	if len(e.History) < 2 {
		return ReleaseRef{}
	}
	return e.History[len(e.History)-2]
}

// Needed names the releases that a keeper may have to place, to run a hook of, or to tell apart, those that stay ready on its
// machine, and what a person went
// back from: it stands by, and a keeper that knows it already goes forward to it without writing down anything first.
// Some may be none, or there twice.
func (e Environment) Needed() []ReleaseRef {
	needed := append([]ReleaseRef{e.Goal, e.Live, e.Previous()}, e.Ready()...)
	if e.Deployment != nil {
		needed = append(needed, e.Deployment.Release)
	}
	if e.Pin != nil {
		needed = append(needed, e.Pin.From)
	}
	return needed
}

// Next answers the environment after the event, and what has to be done because of it. An event that is stale, doubled
// or does not fit leaves it as it is, without effects; Refuses says why.
func (e Environment) Next(event EnvironmentEvent) (Environment, []Effect) {
	if e.Refuses(event) != nil {
		return e, nil
	}
	t := &environmentTransition{environment: e, at: event.when()}
	event.apply(t)
	t.awaitWindow()
	return t.environment, t.effects
}

// Refuses answers why the event does not fit the environment now. A deployment that policy refuses (frozen, older than
// what is live, pinned) is not an error here: it ends as DeploymentRefused, and its step is told.
func (e Environment) Refuses(event EnvironmentEvent) error { return event.refusedBy(e) }

// Refusal says why a deployment may not begin at that time; empty where it may, or has to wait only.
func (e Environment) Refusal(d Deployment, at time.Time) string {
	automatic, frozen := d.Cause == CauseRun, e.Frozen(at)
	switch {
	case d.Cause == CauseRollback:
		return ""
	case e.Exceeds(d.Definition) != "":
		return e.Exceeds(d.Definition)
	case frozen != nil:
		return fmt.Sprintf("%s is frozen %s", e.Key, frozen)
	case automatic && e.Halted != "":
		return fmt.Sprintf("%s is halted: %s", e.Key, e.Halted)
	case automatic && d.Release.Change < e.Live.Change:
		return fmt.Sprintf("release %d is of an older change than release %d, which is live", d.Release.Number, e.Live.Number)
	case automatic && e.Pin != nil && d.Release.Change <= e.Pin.From.Change:
		return fmt.Sprintf("%s is pinned to release %d since %s went back from release %d",
			e.Key, e.Live.Number, e.Pin.By, e.Pin.From.Number)
	case automatic && slices.Contains(e.Failed, d.Release):
		return fmt.Sprintf("release %d failed in %s", d.Release.Number, e.Key)
	}
	return ""
}

// environmentTransition is one call of Next.
type environmentTransition struct {
	environment Environment
	effects     []Effect
	at          time.Time
}

func (t *environmentTransition) emit(e Effect) { t.effects = append(t.effects, e) }

// aim sets the goal and wakes the keeper.
func (t *environmentTransition) aim(goal ReleaseRef) {
	t.environment.Goal = goal
	t.wake()
}

func (t *environmentTransition) wake() {
	t.environment.Serial++
	t.emit(WakeKeeper{Environment: t.environment.Key, Serial: t.environment.Serial})
}

// admit begins a deployment, lets it wait, or refuses it.
func (t *environmentTransition) admit(d Deployment) {
	d.Environment, d.State = t.environment.Key, DeploymentWaiting
	if reason := t.environment.Refusal(d, t.at); reason != "" {
		t.close(d, DeploymentRefused, reason)
		return
	}
	if e := t.environment; e.Deployment == nil && len(e.Queue) == 0 && e.mayStart(d, t.at) {
		t.begin(d)
		return
	}
	t.record(d)
	t.environment.Queue = append(slices.Clone(t.environment.Queue), d)
	t.startNext()
}

// begin makes the deployment's release the goal. One whose release is live already, with nothing changed, ends at once.
func (t *environmentTransition) begin(d Deployment) {
	e := &t.environment
	d.State, d.BeganAt, d.From = DeploymentRunning, t.at, e.Live
	t.adopt(d.Definition)
	e.Halted = ""
	e.Failed = slices.DeleteFunc(slices.Clone(e.Failed), func(r ReleaseRef) bool { return r == d.Release })
	e.Pin, e.RemovedAt = nil, time.Time{}
	if d.Cause == CauseRollback {
		t.pin(e.Live, d.By, d.Reason)
	}
	e.Deployment = &d
	t.record(d)
	t.aim(d.Release)
}

// adopt makes a definition the current one, as a new version if it says anything else than the one before.
func (t *environmentTransition) adopt(d *EnvironmentDefinition) {
	e := &t.environment
	if d == nil || d.Equal(e.Definition) {
		return
	}
	e.Definition = *d
	e.DefinitionVersion++
}

// finish ends the deployment under way, and begins the next that waits and is not refused.
func (t *environmentTransition) finish(state DeploymentState, outcome string) {
	d := *t.environment.Deployment
	t.environment.Deployment = nil
	t.close(d, state, outcome)
	t.startNext()
}

// close tells everyone concerned what became of a deployment.
func (t *environmentTransition) close(d Deployment, state DeploymentState, outcome string) {
	d.State, d.Outcome, d.EndedAt = state, outcome, t.at
	t.record(d)
	if state != DeploymentWithdrawn {
		t.emit(AnnounceDeployment{Deployment: d})
	}
}

// record keeps the deployment as it now is, and tells its step.
func (t *environmentTransition) record(d Deployment) {
	t.emit(RecordDeployment{Deployment: d})
	if d.Step != "" {
		t.emit(TellStep{Deployment: d})
	}
}

// turnBack makes the live release the goal again, once.
func (t *environmentTransition) turnBack(reason string) {
	d := *t.environment.Deployment
	d.State, d.Outcome = DeploymentReturning, reason
	t.environment.Deployment = &d
	t.emit(RecordDeployment{Deployment: d})
	t.aim(t.environment.Live)
}

// pin keeps a release from coming back by itself.
func (t *environmentTransition) pin(from ReleaseRef, by, reason string) {
	t.environment.Pin = &Pin{From: from, By: by, Reason: reason, At: t.at}
}

// promote makes the goal the live release. The history grows by it, or, after a rollback, shrinks to it.
func (t *environmentTransition) promote(d Deployment) {
	e := &t.environment
	history := slices.DeleteFunc(slices.Clone(e.History), func(r ReleaseRef) bool {
		return r.Number == d.Release.Number || d.Cause == CauseRollback && r.Number == d.From.Number
	})
	if d.Cause == CauseRollback {
		history = upTo(e.History, d.Release, history)
	}
	history = append(history, d.Release)
	e.History = history[max(0, len(history)-HistoryLength):]
	if e.Live != d.Release {
		e.StandbyUntil = t.at.Add(e.Definition.Strategy.Standby)
	}
	e.Live, e.LiveAt = d.Release, t.at
}

package towpath

import (
	"fmt"
	"slices"
	"time"
)

// EnvironmentEvent is something that happened to an environment. Every event carries its time.
type EnvironmentEvent interface {
	when() time.Time
	refusedBy(Environment) error
	apply(*environmentTransition)
}

// DeploymentRequested is the wish of a deploy step or of a person. The deployment comes with ID, release, cause, who
// asked and, for a deploy step, the definition of its revision.
type DeploymentRequested struct {
	Deployment Deployment
	At         time.Time
}

// DeploymentDropped takes back the wish of a deploy step that waits for its turn.
type DeploymentDropped struct {
	Run, Step string
	At        time.Time
}

// RollbackRequested is a person's wish to go back: to the live release while another is the goal, else to the one that
// was live before it, or to an earlier one that is still known.
type RollbackRequested struct {
	ID     string // of the deployment that it becomes
	To     int    // number of the release; 0 is the one before
	By     string
	Reason string
	At     time.Time
}

// Promoted is a person's word that traffic may move to the new side.
type Promoted struct {
	Deployment string
	Step       int // of a canary, counted from 1, that the person saw; 0 is whichever is held
	By         string
	At         time.Time
}

// DeploymentTested says that the strategy's test passed against the idle side.
type DeploymentTested struct {
	Epoch      Epoch
	Deployment string
	At         time.Time
}

// WatchBegan says that the new release is watched from now on, and what had been answered by then.
type WatchBegan struct {
	Epoch      Epoch
	Deployment string
	Baseline   []Served
	At         time.Time
}

// GoalReached is the keeper's word that nothing is left to do: the goal serves, or nothing does where nothing is wanted.
type GoalReached struct {
	Epoch      Epoch
	Deployment string
	Returning  bool   // the goal was to go back; a word about the goal before is not one about this
	Note       string // what was seen of it on the way, for people; may be empty
	At         time.Time
}

// GoalFailed is the keeper's word that the goal cannot be reached.
type GoalFailed struct {
	Epoch      Epoch
	Deployment string
	Returning  bool // the goal was to go back
	Reason     string
	At         time.Time
}

// TrafficObserved names the instances that get no new traffic, so that each one's time without it can be told, and the
// releases that get some.
type TrafficObserved struct {
	Epoch        Epoch
	Idle         []string // instances' IDs
	Taking       []int    // releases' numbers
	LastInstance int      // highest serial among all the instances that were seen
	At           time.Time
}

// KeeperLeased gives the environment to a worker, or renews its lease.
type KeeperLeased struct {
	Worker   string
	Holder   string // unique for each time a worker takes the environment; the same for a renewal
	Observed Epoch  // the highest that targets have seen, as far as the worker knows
	Serial   int    // the highest that the worker has heard of
	Tied     bool   // instances run on this worker's machine: no other can follow it
	Expires  time.Time
	At       time.Time
}

// KeeperLeft says that the keeper gave the environment back, or that its lease ran out.
type KeeperLeft struct {
	Worker string
	At     time.Time
}

// Unpinned lifts the pin of a rollback.
type Unpinned struct {
	By string
	At time.Time
}

// ServerRestored says that what is recorded is of an older day than what runs: the server was restored from a backup.
type ServerRestored struct {
	Backup time.Time // when the backup was made
	At     time.Time
}

func (e DeploymentRequested) when() time.Time { return e.At }
func (e DeploymentDropped) when() time.Time   { return e.At }
func (e RollbackRequested) when() time.Time   { return e.At }
func (e Promoted) when() time.Time            { return e.At }
func (e DeploymentTested) when() time.Time    { return e.At }
func (e WatchBegan) when() time.Time          { return e.At }
func (e GoalReached) when() time.Time         { return e.At }
func (e GoalFailed) when() time.Time          { return e.At }
func (e TrafficObserved) when() time.Time     { return e.At }
func (e KeeperLeased) when() time.Time        { return e.At }
func (e KeeperLeft) when() time.Time          { return e.At }
func (e Unpinned) when() time.Time            { return e.At }
func (e ServerRestored) when() time.Time      { return e.At }

func (e DeploymentRequested) refusedBy(env Environment) error {
	sameID := func(d Deployment) bool { return d.ID == e.Deployment.ID }
	if env.Deployment != nil && sameID(*env.Deployment) || slices.ContainsFunc(env.Queue, sameID) {
		return Errorf(CodeConflict, "deployment %s was already asked for", e.Deployment.ID)
	}
	if e.Deployment.Release.Number < 1 {
		return Errorf(CodeInvalid, "a deployment needs a release")
	}
	return nil
}

func (e DeploymentRequested) apply(t *environmentTransition) {
	d := e.Deployment
	d.RequestedAt = e.At
	t.admit(d)
}

func (e DeploymentDropped) refusedBy(env Environment) error {
	if !slices.ContainsFunc(env.Queue, e.names) {
		return Errorf(CodeConflict, "no deployment of step %q waits in %s", e.Step, env.Key)
	}
	return nil
}

func (e DeploymentDropped) names(d Deployment) bool { return d.Run == e.Run && d.Step == e.Step }

func (e DeploymentDropped) apply(t *environmentTransition) {
	i := slices.IndexFunc(t.environment.Queue, e.names)
	d := t.environment.Queue[i]
	t.environment.Queue = slices.Delete(slices.Clone(t.environment.Queue), i, i+1)
	t.close(d, DeploymentWithdrawn, "its run was stopped")
}

func (e RollbackRequested) refusedBy(env Environment) error {
	switch d := env.Deployment; {
	case d != nil && d.ID == e.ID:
		return Errorf(CodeConflict, "this rollback was already asked for")
	case d != nil && d.State == DeploymentReturning:
		return Errorf(CodeConflict, "%s is already going back to release %d", env.Key, env.Goal.Number)
	case d != nil && d.Cause == CauseRollback:
		return Errorf(CodeConflict, "%s is already going back to release %d", env.Key, env.Goal.Number)
	case d == nil && env.Exceeds(nil) != "":
		return Errorf(CodeForbidden, "%s, and a rollback uses the targets that are in force", env.Exceeds(nil)).
			WithHint("allow them with towpath policy %s, or deploy a release whose pipeline file keeps to the policy", env.Key)
	case e.To > 0:
		return env.refusesBack(e.To)
	case d == nil && env.Previous().Number == 0:
		return Errorf(CodeConflict, "%s has no earlier good release to go back to", env.Key).
			WithHint("towpath deploy %s RELEASE puts any release there", env.Key)
	}
	return nil
}

func (e RollbackRequested) apply(t *environmentTransition) {
	if d := t.environment.Deployment; d != nil {
		if d.Cause != CauseRemoval {
			t.pin(d.Release, e.By, e.Reason)
		}
		t.turnBack("rolled back by " + e.By)
		return
	}
	t.begin(Deployment{
		ID: e.ID, Environment: t.environment.Key, Release: t.environment.backTo(e.To), Cause: CauseRollback,
		By: e.By, Reason: e.Reason, RequestedAt: e.At,
	})
}

func (e Promoted) refusedBy(env Environment) error {
	if err := refuseDeployment(env, e.Deployment, DeploymentRunning); err != nil {
		return err
	}
	return refusePromotion(env, e.Step)
}

func (e Promoted) apply(t *environmentTransition) {
	t.change(func(d *Deployment) { d.PromotedBy, d.PromotedAt = e.By, e.At })
	t.wake()
}

func (e DeploymentTested) refusedBy(env Environment) error {
	if err := refuseEpoch(env, e.Epoch); err != nil {
		return err
	}
	return refuseDeployment(env, e.Deployment, DeploymentRunning)
}

func (e DeploymentTested) apply(t *environmentTransition) {
	t.change(func(d *Deployment) { d.TestedAt = e.At })
	t.wake()
}

func (e WatchBegan) refusedBy(env Environment) error {
	if err := refuseEpoch(env, e.Epoch); err != nil {
		return err
	}
	if err := refuseDeployment(env, e.Deployment, DeploymentRunning); err != nil {
		return err
	}
	if !env.Deployment.WatchedAt.IsZero() {
		return Errorf(CodeConflict, "deployment %s is watched already", e.Deployment)
	}
	return nil
}

func (e WatchBegan) apply(t *environmentTransition) {
	t.change(func(d *Deployment) { d.WatchedAt, d.Baseline = e.At, e.Baseline })
	t.wake()
}

func (e GoalReached) refusedBy(env Environment) error {
	if err := refuseEpoch(env, e.Epoch); err != nil {
		return err
	}
	if e.Returning {
		return refuseDeployment(env, e.Deployment, DeploymentReturning)
	}
	return refuseDeployment(env, e.Deployment, DeploymentRunning)
}

func (e GoalReached) apply(t *environmentTransition) {
	d := *t.environment.Deployment
	if d.State == DeploymentReturning {
		t.finish(DeploymentReturned, joined(d.Outcome, e.Note))
		t.wake()
		return
	}
	if d.Cause == CauseRemoval {
		t.remove()
		t.wake()
		return
	}
	t.promote(d)
	t.finish(DeploymentLive, e.Note)
	t.wake()
}

// joined tells why a deployment went back, and what was seen on the way.
func joined(outcome, note string) string {
	if note == "" {
		return outcome
	}
	return outcome + "; " + note
}

func (e GoalFailed) refusedBy(env Environment) error {
	return GoalReached{Epoch: e.Epoch, Deployment: e.Deployment, Returning: e.Returning, At: e.At}.refusedBy(env)
}

func (e GoalFailed) apply(t *environmentTransition) {
	env := &t.environment
	d := *env.Deployment
	if d.State == DeploymentReturning || d.Release == env.Live {
		env.Halted = e.Reason
		t.finish(DeploymentHalted, e.Reason)
		t.wake()
		return
	}
	if d.Cause != CauseRemoval {
		t.blame(d.Release, e.Reason)
	}
	t.turnBack(e.Reason)
}

func (e TrafficObserved) refusedBy(env Environment) error { return refuseEpoch(env, e.Epoch) }

func (e TrafficObserved) apply(t *environmentTransition) {
	idle := make(map[string]time.Time, len(e.Idle))
	for _, id := range e.Idle {
		idle[id] = e.At
		if since, known := t.environment.Idle[id]; known && !e.isBefore(since) {
			idle[id] = since
		}
	}
	t.environment.Idle = idle
	t.environment.LastInstance = max(t.environment.LastInstance, e.LastInstance)
	t.takesTraffic(e)
	t.holdsStep(e)
}

// clockLeeway is by how much a moment may lie ahead before it is taken for one of a clock that was set back since.
const clockLeeway = time.Minute

// isBefore says that a moment that was recorded lies so far ahead that the clock was set back since.
func (e TrafficObserved) isBefore(recorded time.Time) bool {
	return recorded.After(e.At.Add(clockLeeway))
}

// takesTraffic begins the time of a release that is watched, where it is seen with traffic.
func (t *environmentTransition) takesTraffic(e TrafficObserved) {
	d := t.environment.Deployment
	if d == nil || d.State != DeploymentRunning || d.WatchedAt.IsZero() || !slices.Contains(e.Taking, d.Release.Number) {
		return
	}
	if d.TrafficAt.IsZero() || e.isBefore(d.TrafficAt) {
		t.change(func(d *Deployment) { d.TrafficAt = e.At })
	}
}

// holdsStep begins the time of a canary's step anew, where the clock by which it began was set back since: nobody waits for a day
// that was a mistake.
func (t *environmentTransition) holdsStep(e TrafficObserved) {
	d := t.environment.Deployment
	if d != nil && d.State == DeploymentRunning && e.isBefore(d.StepAt) {
		t.change(func(d *Deployment) { d.StepAt = e.At })
	}
}

func (e KeeperLeased) refusedBy(env Environment) error {
	held := env.Keeper.Worker != "" && e.At.Before(env.Keeper.Expires)
	switch {
	case env.IsRemoved():
		return Errorf(CodeConflict, "%s is removed", env.Key)
	case held && env.Keeper.Worker != e.Worker:
		return Errorf(CodeConflict, "%s is kept by another worker", env.Key)
	case env.Machine != "" && env.Machine != e.Worker:
		return Errorf(CodeConflict, "the instances of %s run on another worker's machine", env.Key)
	}
	return nil
}

// apply raises the epoch for every new holder: one above the highest that was recorded or observed, so that a server
// restored from a backup does not lock itself out. The same number of somebody else is as good as a higher one. For the
// same reason the serial goes on above the one that the worker knows: it would take what is recorded for older.
func (e KeeperLeased) apply(t *environmentTransition) {
	env := &t.environment
	if env.Epoch.Holder != e.Holder || env.Epoch.Before(e.Observed) {
		env.Epoch = Epoch{Number: max(env.Epoch.Number, e.Observed.Number) + 1, Holder: e.Holder}
	}
	if e.Serial > env.Serial {
		env.Serial = e.Serial + 1
	}
	env.Keeper = KeeperLease{Worker: e.Worker, Expires: e.Expires}
	env.UnattendedSince = time.Time{}
	if e.Tied {
		env.Machine = e.Worker
	}
}

func (e KeeperLeft) refusedBy(env Environment) error {
	if env.Keeper.Worker != e.Worker {
		return Errorf(CodeStale, "%s is not kept by this worker", env.Key)
	}
	return nil
}

func (e KeeperLeft) apply(t *environmentTransition) {
	t.environment.Keeper = KeeperLease{}
	t.environment.UnattendedSince = e.At
}

func (e Unpinned) refusedBy(env Environment) error {
	if env.Pin == nil {
		return Errorf(CodeConflict, "%s is not pinned", env.Key)
	}
	return nil
}

func (e Unpinned) apply(t *environmentTransition) { t.environment.Pin = nil }

func (e ServerRestored) refusedBy(Environment) error { return nil }

// restoredLeap is by how much the serial rises in a restored state: by more than it can have risen since the backup. A
// keeper that goes on would else take another order of the same serial for the one that it knows.
const restoredLeap = 1 << 30

// apply halts the environment: what serves may be a release that nobody here knows any more, so a person looks first.
func (e ServerRestored) apply(t *environmentTransition) {
	env := &t.environment
	env.Serial += restoredLeap
	env.Halted = fmt.Sprintf("the server was restored from its backup of %s, and what runs here may be newer; "+
		"deploy a release or roll back to go on", e.Backup.UTC().Format("2006-01-02 15:04 MST"))
	waiting := env.Queue
	env.Queue = nil
	for _, d := range waiting {
		t.close(d, DeploymentRefused, env.Halted)
	}
	if env.Deployment != nil {
		env.Goal = env.Live
		t.finish(DeploymentHalted, env.Halted)
	}
	env.Keeper, env.UnattendedSince = KeeperLease{}, e.At
	t.wake()
}

// change alters the deployment under way, and records it.
func (t *environmentTransition) change(alter func(*Deployment)) {
	d := *t.environment.Deployment
	alter(&d)
	t.environment.Deployment = &d
	t.emit(RecordDeployment{Deployment: d})
}

func refuseEpoch(env Environment, epoch Epoch) error {
	if env.Epoch != epoch {
		return Errorf(CodeStale, "epoch %s is not the current one of %s, which is %s", epoch, env.Key, env.Epoch)
	}
	return nil
}

func refuseDeployment(env Environment, id string, states ...DeploymentState) error {
	switch d := env.Deployment; {
	case d == nil || d.ID != id:
		return Errorf(CodeConflict, "deployment %s is not under way in %s", id, env.Key)
	case !slices.Contains(states, d.State):
		return Errorf(CodeConflict, "deployment %s is %s", id, d.State)
	}
	return nil
}

package towpath

import (
	"slices"
	"time"
)

// WentBack says that a keeper went back while it could not ask the server: because a person said so on its machine, or
// because the release under way failed. It has happened already, and the record follows.
type WentBack struct {
	Epoch   Epoch
	ID      string     // of the deployment as which it is recorded, where it turned none back
	Turned  string     // ID of the deployment that it turned back; empty where none was under way
	To      ReleaseRef // what it went back to
	By      string     // who said so; empty where the keeper did by itself
	Reason  string
	State   DeploymentState // how it ended: live or returned, or halted where going back failed as well
	Outcome string          // why it ended so, for people
	Hooks   []HookReceipt   `json:",omitempty"` // all that are known of the deployment that was turned back
	BeganAt time.Time
	At      time.Time
}

func (e WentBack) when() time.Time { return e.At }

// refusedBy has an event that comes a second time change nothing: what it went back to is live by then.
func (e WentBack) refusedBy(env Environment) error {
	if err := refuseEpoch(env, e.Epoch); err != nil {
		return err
	}
	switch {
	case e.To.Number < 1 || !slices.Contains([]DeploymentState{DeploymentLive, DeploymentReturned, DeploymentHalted}, e.State):
		return Errorf(CodeInvalid, "nothing went back to release %d, %q", e.To.Number, e.State)
	case e.turns(env) && env.Live == e.To:
		return nil
	case env.Goal == e.To, env.Live == e.To && e.hasArrived():
		return Errorf(CodeConflict, "%s is at release %d already, or on its way", env.Key, e.To.Number)
	case !slices.Contains(env.History, e.To):
		return Errorf(CodeConflict, "release %d was never live in %s", e.To.Number, env.Key)
	}
	return nil
}

// turns says that the deployment that was turned back is still under way for all that is recorded.
func (e WentBack) turns(env Environment) bool {
	return env.Deployment != nil && env.Deployment.ID == e.Turned
}

func (e WentBack) apply(t *environmentTransition) {
	if e.turns(t.environment) && t.environment.Live == e.To {
		t.wasTurnedBack(e)
	} else {
		t.wasRolledBack(e)
	}
	t.wake()
}

// wasTurnedBack ends the deployment under way. Unless a person had turned it back meanwhile, its release does not come
// again by itself.
func (t *environmentTransition) wasTurnedBack(e WentBack) {
	env := &t.environment
	d := *env.Deployment
	if len(e.Hooks) > len(d.Hooks) {
		d.Hooks = slices.Clone(e.Hooks)
	}
	if d.State == DeploymentRunning && e.By != "" {
		t.pin(d.Release, e.By, e.Reason)
	} else if d.State == DeploymentRunning {
		t.blame(d.Release, e.Reason)
	}
	env.Deployment, env.Goal = &d, env.Live
	state := DeploymentReturned
	if e.State == DeploymentHalted {
		state, env.Halted = e.State, e.Outcome
	}
	t.finish(state, e.Outcome)
}

// wasRolledBack records a rollback that is over. A deployment that was asked for since goes on from there: the wish is
// the newer one.
func (t *environmentTransition) wasRolledBack(e WentBack) {
	env := &t.environment
	d := Deployment{
		ID: e.ID, Environment: env.Key, Release: e.To, From: env.Live, Cause: CauseRollback, By: e.By, Reason: e.Reason,
		RequestedAt: e.BeganAt, BeganAt: e.BeganAt,
	}
	switch {
	case e.hasArrived():
		env.Halted = ""
		t.promote(d)
		t.followBack(d)
		t.close(d, DeploymentLive, e.Outcome)
	case e.State == DeploymentHalted && env.Deployment == nil:
		env.Halted = e.Outcome
		t.close(d, DeploymentHalted, e.Outcome)
	default:
		t.close(d, e.State, e.Outcome)
	}
}

// hasArrived says that what it went back to serves.
func (e WentBack) hasArrived() bool {
	return e.State == DeploymentLive || e.State == DeploymentReturned && e.Turned != ""
}

// followBack aims at what is live now. What is under way began from there, and goes back to there.
func (t *environmentTransition) followBack(rollback Deployment) {
	env := &t.environment
	if env.Deployment == nil {
		env.Goal = env.Live
		t.pin(rollback.From, rollback.By, rollback.Reason)
		return
	}
	t.change(func(d *Deployment) { d.From = env.Live })
	if env.Deployment.State == DeploymentReturning {
		env.Goal = env.Live
	}
}

// blame keeps a release that failed from coming back by itself.
func (t *environmentTransition) blame(failed ReleaseRef, reason string) {
	env := &t.environment
	env.Failed = append(slices.Clone(env.Failed), failed)
	if env.Live.Number > 0 {
		t.pin(failed, "towpath", reason)
	}
}

package towpath

import (
	"fmt"
	"slices"
	"time"
)

// HookBegan says that a hook is about to run. It is recorded before the script begins.
type HookBegan struct {
	Epoch      Epoch
	Deployment string
	Hook       Hook
	At         time.Time
}

// HookEnded says how a hook ended.
type HookEnded struct {
	Epoch      Epoch
	Deployment string
	Hook       Hook
	Problem    string // why it failed; empty where it passed
	At         time.Time
}

// HookLost says that a hook was cut off by a crash, so that nobody knows what it has done: nothing goes on before a person
// has looked.
type HookLost struct {
	Epoch      Epoch
	Deployment string
	Hook       Hook
	At         time.Time
}

func (e HookBegan) when() time.Time { return e.At }
func (e HookEnded) when() time.Time { return e.At }
func (e HookLost) when() time.Time  { return e.At }

func (e HookBegan) refusedBy(env Environment) error {
	if err := refuseHook(env, e.Epoch, e.Deployment, e.Hook); err != nil {
		return err
	}
	if _, is := env.Deployment.Receipt(e.Hook); is {
		return Errorf(CodeConflict, "the hook %q of deployment %s has run already", e.Hook, e.Deployment)
	}
	return nil
}

func (e HookBegan) apply(t *environmentTransition) {
	t.change(func(d *Deployment) {
		d.Hooks = append(slices.Clone(d.Hooks), HookReceipt{Hook: e.Hook, State: HookBegun, BeganAt: e.At})
	})
	t.wake()
}

func (e HookEnded) refusedBy(env Environment) error {
	return refuseHookEnd(env, e.Epoch, e.Deployment, e.Hook)
}

func (e HookEnded) apply(t *environmentTransition) {
	state := HookPassed
	if e.Problem != "" {
		state = HookBroke
	}
	t.endHook(e.Hook, state, e.Problem)
	t.wake()
}

func (e HookLost) refusedBy(env Environment) error {
	if err := refuseHookEnd(env, e.Epoch, e.Deployment, e.Hook); err != nil {
		return err
	}
	return refuseDeployment(env, e.Deployment, DeploymentRunning) // what goes back goes on without a person
}

func (e HookLost) apply(t *environmentTransition) {
	t.endHook(e.Hook, HookUnknown, "")
	t.change(func(d *Deployment) {
		d.Outcome = fmt.Sprintf("the keeper was cut off while the hook %s ran, and nobody knows what it has done; "+
			"look, then roll back or deploy again", e.Hook)
	})
	t.emit(AnnounceDeployment{Deployment: *t.environment.Deployment})
	t.wake()
}

// endHook notes what is known of a hook's end.
func (t *environmentTransition) endHook(h Hook, state HookState, problem string) {
	t.change(func(d *Deployment) {
		d.Hooks = slices.Clone(d.Hooks)
		i := slices.IndexFunc(d.Hooks, func(r HookReceipt) bool { return r.Hook == h })
		d.Hooks[i].State, d.Hooks[i].Problem, d.Hooks[i].EndedAt = state, problem, t.at
	})
}

// refuseHookEnd answers why a hook cannot have ended just now.
func refuseHookEnd(env Environment, epoch Epoch, deployment string, h Hook) error {
	if err := refuseHook(env, epoch, deployment, h); err != nil {
		return err
	}
	if receipt, is := env.Deployment.Receipt(h); !is || receipt.State != HookBegun {
		return Errorf(CodeConflict, "the hook %q of deployment %s is not running", h, deployment)
	}
	return nil
}

// refuseHook answers why a hook does not belong to what is under way. A hook that runs while the goal is given up may
// still end.
func refuseHook(env Environment, epoch Epoch, deployment string, h Hook) error {
	if err := refuseEpoch(env, epoch); err != nil {
		return err
	}
	if !slices.Contains(Hooks, h) {
		return Errorf(CodeInvalid, "there is no hook %q", h)
	}
	return refuseDeployment(env, deployment, DeploymentRunning, DeploymentReturning)
}

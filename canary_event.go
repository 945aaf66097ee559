package towpath

import "time"

// StepBegan is the keeper's word that the new release has the share of a canary's step, or, after the last one, all.
type StepBegan struct {
	Epoch      Epoch
	Deployment string
	Step       int // from 0; as many as there are steps where all are over
	At         time.Time
}

func (e StepBegan) when() time.Time { return e.At }

// refusedBy lets steps come one after another; the end may come early, where nothing else serves any more.
func (e StepBegan) refusedBy(env Environment) error {
	if err := refuseEpoch(env, e.Epoch); err != nil {
		return err
	}
	if err := refuseDeployment(env, e.Deployment, DeploymentRunning); err != nil {
		return err
	}
	d, all := env.Deployment, len(env.Definition.Strategy.Steps)
	switch {
	case e.Step == d.CanaryStep && !d.StepAt.IsZero() || e.Step < d.CanaryStep:
		return Errorf(CodeConflict, "step %d of deployment %s has begun already", e.Step, e.Deployment)
	case e.Step > all || e.Step > d.CanaryStep+1 && e.Step != all:
		return Errorf(CodeInvalid, "step %d of deployment %s does not follow step %d", e.Step, e.Deployment, d.CanaryStep)
	}
	return nil
}

// apply begins the step's time. What a person said was about the step before.
func (e StepBegan) apply(t *environmentTransition) {
	t.change(func(d *Deployment) {
		d.CanaryStep, d.StepAt = e.Step, e.At
		d.PromotedBy, d.PromotedAt = "", time.Time{}
	})
	t.wake()
}

// refusePromotion says why a person's word comes too early or too late for a canary: each is about the step that is held, and
// where it says which one the person saw, about no other.
func refusePromotion(env Environment, seen int) error {
	d, steps := env.Deployment, env.Definition.Strategy.Steps
	switch {
	case len(steps) == 0:
		return nil
	case d.CanaryStep >= len(steps):
		return Errorf(CodeConflict, "all steps of deployment %s are over", d.ID)
	case d.StepAt.IsZero() || !d.PromotedAt.IsZero():
		return Errorf(CodeConflict, "the next step of deployment %s has yet to begin", d.ID).
			WithHint("promote it once it has its share")
	case seen != 0 && seen != d.CanaryStep+1:
		return Errorf(CodeConflict, "deployment %s is at step %d, and the word was about step %d", d.ID, d.CanaryStep+1, seen).
			WithHint("look at how it does, and promote it again")
	}
	return nil
}

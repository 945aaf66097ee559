package flow

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/approval"
	"github.com/towpath-cd/towpath/internal/store"
)

// requestDeployment makes a release of what a deploy step uses, and the release a wish of its environment.
func (a *act) requestDeployment(e towpath.RequestDeployment) error {
	run, _, err := a.tx.Run(e.Run)
	if err != nil {
		return err
	}
	step, _ := run.Step(e.Step)
	if step.State != towpath.StepWaiting {
		return nil
	}
	if run.Stopping != "" {
		return a.neverAsked(run, step)
	}
	definition, _ := run.Environment(step.Deploy)
	if reason, err := a.bars(run, step, definition); err != nil || reason != "" {
		return a.refuseDeployment(run, step, reason, err)
	}
	if reason, err := a.withholds(run, definition); err != nil || reason != "" {
		return a.refuseDeployment(run, step, reason, err)
	}
	artifacts, reason, err := a.shipped(run, step, definition)
	if err != nil || reason != "" {
		return a.refuseDeployment(run, step, reason, err)
	}
	if reason := builtElsewhere(run, artifacts, definition); reason != "" {
		return a.refuseDeployment(run, step, reason, nil)
	}
	if err := a.noteUses(store.SecretUse{Run: run.ID, Step: step.Name, Environment: definition.Name}, definition.Grants()); err != nil {
		return err
	}
	release, err := a.releaseOf(run, artifacts)
	if err != nil {
		return err
	}
	key, err := a.environmentFor(run, definition)
	if err != nil {
		return err
	}
	_, err = a.environmentHappens(key, towpath.DeploymentRequested{At: a.at, Deployment: towpath.Deployment{
		ID: run.ID + "." + step.Name, Release: release.Ref(), Cause: towpath.CauseRun, By: run.Change.Author,
		Run: run.ID, Step: step.Name, Ref: run.Change.Branch, Definition: &definition,
	}})
	return unlessRefused(err)
}

// bars says why a deploy step may not begin: by its branch, its approvals, or the policy of its environment.
func (a *act) bars(run towpath.Run, step towpath.Step, d towpath.EnvironmentDefinition) (string, error) {
	policy, err := a.tx.Policy(towpath.EnvironmentKey(run.Pipeline, d.Name))
	if err != nil {
		return "", err
	}
	if reason, err := approval.Bars(a.tx, run, step, d, policy); err != nil || reason != "" {
		return reason, err
	}
	return a.exceeds(policy, d)
}

// builtElsewhere says which step built for another platform than the environment's. Where the environment does not say what it
// is, its keeper's machine does, and the target refuses it there before it touches anything.
func builtElsewhere(run towpath.Run, artifacts []towpath.Artifact, d towpath.EnvironmentDefinition) string {
	for _, artifact := range artifacts {
		if d.Platform != "" && !fits(artifact, d.Platform) {
			builder, _ := run.Step(artifact.Step)
			return fmt.Sprintf("%q was built on %s (line %d), %s is %s; platform: any on the step says that it runs everywhere",
				builder.Name, artifact.Platform, builder.Line, d.Name, d.Platform)
		}
	}
	return ""
}

// withholds says which secret of the environment the deployment does not get: better now than when instances start.
func (a *act) withholds(run towpath.Run, d towpath.EnvironmentDefinition) (string, error) {
	planned := towpath.NewEnvironment(run.Project, run.Pipeline, d, a.at)
	planned.Deployment = &towpath.Deployment{Ref: run.Change.Branch}
	_, err := a.secrets.ForEnvironment(a.tx, planned)
	switch {
	case err == nil:
		return "", nil
	case errors.Is(err, store.ErrUnwritable):
		return "", err
	}
	return err.Error(), nil
}

func (a *act) refuseDeployment(run towpath.Run, step towpath.Step, reason string, err error) error {
	if err != nil {
		return err
	}
	_, err = a.runHappens(run.ID, towpath.DeploymentEnded{
		Step: step.Name, State: towpath.DeploymentRefused, Reason: reason, At: a.at,
	})
	return unlessRefused(err)
}

// releaseOf answers the run's release of these artifacts: the one that an earlier deploy step of the run made, where it
// shipped the same.
func (a *act) releaseOf(run towpath.Run, artifacts []towpath.Artifact) (towpath.Release, error) {
	made, err := a.tx.ReleasesOfRun(run.ID)
	if err != nil {
		return towpath.Release{}, err
	}
	i := slices.IndexFunc(made, func(r towpath.Release) bool { return slices.Equal(r.Artifacts, artifacts) })
	if i >= 0 {
		return made[i], nil
	}
	number, err := a.tx.NextReleaseNumber(run.Pipeline)
	if err != nil {
		return towpath.Release{}, err
	}
	release := towpath.Release{
		Project: run.Project, Pipeline: run.Pipeline, Number: number, Run: run.ID, Change: run.Order(),
		Revision: run.Change.Revision, Title: run.Change.Title(), Author: run.Change.Author,
		Artifacts: artifacts, Env: map[string]map[string]string{}, CreatedAt: a.at,
	}
	for _, d := range run.Environments {
		release.Env[d.Name] = d.Env
	}
	return release, a.tx.CreateRelease(release)
}

// environmentFor answers the key of the environment, which comes into being with its first deployment.
func (a *act) environmentFor(run towpath.Run, d towpath.EnvironmentDefinition) (string, error) {
	key := towpath.EnvironmentKey(run.Pipeline, d.Name)
	_, _, err := a.tx.Environment(key)
	if errors.Is(err, store.ErrNotFound) {
		e := towpath.NewEnvironment(run.Project, run.Pipeline, d, a.at)
		if e.Policy, err = a.tx.Policy(key); err != nil {
			return key, err
		}
		if err := a.tx.CreateEnvironment(e); err != nil {
			return key, err
		}
		return key, a.inheritFreezes(e)
	}
	return key, err
}

func (a *act) withdrawDeployment(e towpath.WithdrawDeployment) error {
	run, _, err := a.tx.Run(e.Run)
	if err != nil {
		return err
	}
	step, _ := run.Step(e.Step)
	_, err = a.environmentHappens(towpath.EnvironmentKey(run.Pipeline, step.Deploy),
		towpath.DeploymentDropped{Run: e.Run, Step: e.Step, At: a.at})
	if errors.Is(err, store.ErrNotFound) {
		return a.neverAsked(run, step)
	}
	return unlessRefused(err)
}

// neverAsked ends a deploy step of which its environment has not heard, as its run was stopped before.
func (a *act) neverAsked(run towpath.Run, step towpath.Step) error {
	_, err := a.runHappens(run.ID, towpath.DeploymentEnded{
		Step: step.Name, State: towpath.DeploymentWithdrawn, Reason: run.Reason, At: a.at,
	})
	return unlessRefused(err)
}

// tellStep tells a deploy step what became of its deployment.
func (a *act) tellStep(e towpath.TellStep) error {
	d := e.Deployment
	var event towpath.RunEvent = towpath.DeploymentBegan{
		Step: d.Step, Deployment: d.ID, Release: d.Release.Number, At: a.at,
	}
	if d.State.IsFinal() {
		event = towpath.DeploymentEnded{Step: d.Step, Deployment: d.ID, State: d.State, Reason: d.Outcome, At: a.at}
	}
	if d.State == towpath.DeploymentWaiting {
		return nil
	}
	_, err := a.runHappens(d.Run, event)
	return unlessRefused(err)
}

// Deploy makes a release the wish of an environment because a person says so. What is protected stays so: a release of a
// branch that is not allowed there is refused, and so is one that nobody approved, and one whose artifacts are not kept
// any more. A release that was live there was approved then.
func (c *Conductor) Deploy(ctx context.Context, key string, release int, by Act) (towpath.Deployment, error) {
	id := c.newID()
	return c.wish(ctx, key, id, by, func(a *act, e towpath.Environment) (towpath.EnvironmentEvent, error) {
		r, err := a.tx.Release(e.Pipeline, release)
		if err != nil {
			return nil, err
		}
		run, _, err := a.tx.Run(r.Run)
		if err != nil {
			return nil, err
		}
		if err := a.admits(e, r, run); err != nil {
			return nil, err
		}
		return towpath.DeploymentRequested{At: a.at, Deployment: towpath.Deployment{
			ID: id, Release: r.Ref(), Cause: towpath.CauseManual, By: by.By, Reason: by.Reason, Ref: run.Change.Branch,
		}}, a.areKept(r)
	})
}

// admits answers an error where a release may not be deployed by hand.
func (a *act) admits(e towpath.Environment, r towpath.Release, run towpath.Run) error {
	reason, err := approval.BarsByHand(a.tx, run, e.Definition, e.Policy)
	if slices.Contains(e.History, r.Ref()) {
		reason = approval.BarsBranch(run.Change, e.Definition, e.Policy)
	}
	if err == nil && reason != "" {
		err = towpath.Errorf(towpath.CodeForbidden, "%s", reason)
	}
	return err
}

// areKept answers an error where an artifact of a release is not kept any more.
func (a *act) areKept(r towpath.Release) error {
	kept, err := a.tx.Artifacts(r.Run)
	if err != nil {
		return err
	}
	for _, artifact := range r.Artifacts {
		if !slices.Contains(kept, artifact) {
			return towpath.Errorf(towpath.CodeConflict, "the artifacts of release %d are not kept any more", r.Number).
				WithHint("start a run of revision %s to make them again", towpath.ShortRevision(r.Revision))
		}
	}
	return nil
}

// Rollback goes back: to the live release while another is the goal, else to the one that was live before, or to the one of
// that number where it is not 0. Nothing is asked of the forge or the artifact store.
func (c *Conductor) Rollback(ctx context.Context, key string, to int, by Act) (towpath.Deployment, error) {
	id := c.newID()
	return c.wish(ctx, key, id, by, func(a *act, _ towpath.Environment) (towpath.EnvironmentEvent, error) {
		return towpath.RollbackRequested{ID: id, To: to, By: by.By, Reason: by.Reason, At: a.at}, nil
	})
}

// Remove takes everything of an environment away. The answer is the deployment of nothing that it becomes.
func (c *Conductor) Remove(ctx context.Context, key string, by Act) (towpath.Deployment, error) {
	id := c.newID()
	return c.wish(ctx, key, id, by, func(a *act, _ towpath.Environment) (towpath.EnvironmentEvent, error) {
		return towpath.RemovalRequested{ID: id, By: by.By, Reason: by.Reason, At: a.at}, nil
	})
}

// wish applies a person's wish for a deployment, and answers the deployment that it became or that it turned back. One
// that policy refuses is an error.
func (c *Conductor) wish(ctx context.Context, key, id string, by Act, event func(*act, towpath.Environment) (towpath.EnvironmentEvent, error)) (towpath.Deployment, error) {
	var made towpath.Deployment
	err := c.update(ctx, func(a *act) error {
		before, _, err := a.tx.Environment(key)
		if err != nil {
			return err
		}
		e, err := event(a, before)
		if err != nil {
			return err
		}
		if asked, ok := e.(towpath.DeploymentRequested); ok {
			if reason := before.Refusal(asked.Deployment, a.at); reason != "" {
				return towpath.Errorf(towpath.CodeConflict, "%s", reason)
			}
		}
		after, err := a.environmentHappens(key, e)
		if err != nil {
			return err
		}
		made = deploymentOf(after, id)
		return by.Record(a.tx)
	})
	return made, err
}

// deploymentOf finds a deployment that was just asked for; a rollback of one under way is that one.
func deploymentOf(e towpath.Environment, id string) towpath.Deployment {
	for _, d := range e.Queue {
		if d.ID == id {
			return d
		}
	}
	if e.Deployment == nil {
		return towpath.Deployment{}
	}
	return *e.Deployment
}

// Change applies a person's act on an environment other than a deployment: promote, freeze, thaw, unpin.
func (c *Conductor) Change(ctx context.Context, key string, record func(*store.Tx) error, event func(towpath.Environment) towpath.EnvironmentEvent) (towpath.Environment, error) {
	var after towpath.Environment
	err := c.update(ctx, func(a *act) error {
		before, _, err := a.tx.Environment(key)
		if err != nil {
			return err
		}
		if after, err = a.environmentHappens(key, event(before)); err != nil {
			return err
		}
		return record(a.tx)
	})
	return after, err
}

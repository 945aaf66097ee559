package flow

import (
	"context"
	"errors"
	"slices"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/store"
	"github.com/towpath-cd/towpath/internal/trigger"
)

// errHeld is the cause of an error that says that a change waits for a maintainer's go.
var errHeld = errors.New("it waits for a go")

// errForksIgnored says that the project makes no runs of forks.
var errForksIgnored = &towpath.Error{
	Code: towpath.CodeForbidden, Message: "pull requests from forks start nothing here", Err: errUntriggered,
}

// holds answers an error where a change is to be let through by a maintainer first, who has looked at it: it is of
// somebody who may not push.
func holds(p towpath.Project, recorded store.RecordedChange) error {
	if !recorded.Change.IsFromFork() || p.Forks == towpath.ForksRun || recorded.AllowedBy != "" {
		return nil
	}
	held := towpath.Errorf(towpath.CodeForbidden, "pull request %d by %s comes from a fork",
		recorded.Change.Request.Number, recorded.Change.Request.Author).
		WithHint("once somebody has read it: towpath changes allow %s %d", p.Name, recorded.ID)
	held.Err = errHeld
	return held
}

// AllowChange lets a change run that was held. The go is for this one revision.
func (c *Conductor) AllowChange(ctx context.Context, project string, id int, by Act) (store.RecordedChange, error) {
	var allowed store.RecordedChange
	err := c.update(ctx, func(a *act) error {
		if _, err := a.tx.Change(project, id); err != nil {
			return err
		}
		if err := a.tx.AllowChange(project, id, by.By); err != nil {
			return err
		}
		if err := by.Record(a.tx); err != nil {
			return err
		}
		var err error
		allowed, err = a.tx.Change(project, id)
		return err
	})
	if err == nil {
		c.ChangesRecorded()
	}
	return allowed, err
}

// filesOfBase answers the pipeline files that count for a pull request from a fork: those at the tip of the branch that
// it goes to, where that one is protected, or else of the default branch. What the fork says about itself counts nothing.
func (c *Conductor) filesOfBase(ctx context.Context, p towpath.Project, change towpath.Change) (map[string][]byte, error) {
	base := p.DefaultBranch
	if trigger.IsProtected(p, change.Request.Base) {
		base = change.Request.Base
	}
	branch, tip, err := c.repositories.Resolve(ctx, p, base, "")
	if err != nil {
		return nil, err
	}
	_, files, err := c.repositories.Read(ctx, p, towpath.Change{Project: p.ID, Branch: branch, Revision: tip, Trigger: towpath.TriggerPush})
	return files, err
}

// leaveDeploymentsOut excludes deployments, and the approvals before them: nobody is asked for what is not done.
func leaveDeploymentsOut(p *towpath.Pipeline, why string) {
	for i := range p.Steps {
		step := &p.Steps[i]
		if step.Kind == towpath.KindDeploy || step.Kind == towpath.KindApprove && leadsToDeployment(*p, step.Name, map[string]bool{}) {
			step.Excluded = why
		}
	}
}

// leadsToDeployment says that a deployment needs the step, directly or not.
func leadsToDeployment(p towpath.Pipeline, name string, seen map[string]bool) bool {
	if seen[name] {
		return false
	}
	seen[name] = true
	return slices.ContainsFunc(p.Steps, func(s towpath.StepDefinition) bool {
		return slices.Contains(s.Needs, name) && (s.Kind == towpath.KindDeploy || leadsToDeployment(p, s.Name, seen))
	})
}

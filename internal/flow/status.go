package flow

import (
	"context"
	"fmt"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/store"
)

// Statuses shows beside a commit, at its forge, how it fares.
type Statuses interface {
	// Show shows a status. The same context of the same commit is overwritten. An error may pass; where trying again is of
	// no use, there is none.
	Show(ctx context.Context, p towpath.Project, s towpath.Status) error
}

// recordDeployment keeps a deployment, and owes its forge what became of it.
func (a *act) recordDeployment(project string, d towpath.Deployment) error {
	err := a.tx.RecordDeployment(d)
	if _, isShown := deploymentState(d.State); err != nil || !isShown {
		return err
	}
	return a.oweStatus(project, towpath.ShowDeploymentStatus{Deployment: d})
}

// oweStatus leaves a status for after the commit, where the project's forge can be told of it.
func (a *act) oweStatus(project string, e towpath.Effect) error {
	p, _, err := a.tx.Project(project)
	if err != nil || p.Forge.Kind == towpath.ForgeNone {
		return err
	}
	a.owed = true
	return a.tx.AddEffects(time.Time{}, e)
}

// showRun shows how a run fares. Where it has gone on meanwhile nothing is shown: a later effect says how, and must not be
// overwritten by an earlier one that was held up.
func (c *Conductor) showRun(ctx context.Context, e towpath.ShowRunStatus) error {
	var run towpath.Run
	err := c.store.View(ctx, func(tx *store.Tx) (err error) {
		run, _, err = tx.Run(e.Run)
		return err
	})
	if err != nil {
		return err
	}
	if run.State == e.State {
		if err := c.show(ctx, run.Project, statusOfRun(run)); err != nil {
			return err
		}
	}
	return c.tick(ctx, e)
}

func statusOfRun(run towpath.Run) towpath.Status {
	s := towpath.Status{
		Revision: run.Change.Revision, Context: "towpath/" + run.Pipeline, Path: fmt.Sprintf("/runs/%s/%d", run.Pipeline, run.Number),
		Text: fmt.Sprintf("run %d %s", run.Number, run.State),
	}
	if run.Reason != "" {
		s.Text += ": " + run.Reason
	}
	switch run.State {
	case towpath.RunWaiting, towpath.RunRunning:
		s.State = towpath.StatusPending
	case towpath.RunPassed:
		s.State = towpath.StatusSuccess
	case towpath.RunFailed:
		s.State = towpath.StatusFailure
	default: // canceled or superseded: nobody is to blame
		s.State = towpath.StatusSkipped
	}
	return s
}

// showDeployment does the same for a deployment.
func (c *Conductor) showDeployment(ctx context.Context, e towpath.ShowDeploymentStatus) error {
	var status towpath.Status
	var project string
	isCurrent := false
	err := c.store.View(ctx, func(tx *store.Tx) error {
		d, err := tx.Deployment(e.Deployment.ID)
		if err != nil || d.State != e.Deployment.State {
			return err
		}
		environment, _, err := tx.Environment(d.Environment)
		if err != nil {
			return err
		}
		run, err := runOfRelease(tx, environment.Pipeline, d.Release)
		if err != nil || run.ID == "" {
			return err
		}
		project, isCurrent = environment.Project, true
		status = statusOfDeployment(environment, d, run.Change.Revision)
		return nil
	})
	if err != nil {
		return err
	}
	if isCurrent {
		if err := c.show(ctx, project, status); err != nil {
			return err
		}
	}
	return c.tick(ctx, e)
}

func statusOfDeployment(e towpath.Environment, d towpath.Deployment, revision string) towpath.Status {
	state, _ := deploymentState(d.State)
	s := towpath.Status{
		Revision: revision, Context: "towpath/" + e.Key, State: state, Path: "/environments/" + e.Key,
		Text: fmt.Sprintf("release %d %s", d.Release.Number, d.State),
	}
	if d.Outcome != "" {
		s.Text += ": " + d.Outcome
	}
	return s
}

// deploymentState says what a forge shows of a deployment; nothing while it waits.
func deploymentState(s towpath.DeploymentState) (state towpath.StatusState, isShown bool) {
	switch s {
	case towpath.DeploymentRunning:
		return towpath.StatusPending, true
	case towpath.DeploymentLive:
		return towpath.StatusSuccess, true
	case towpath.DeploymentReturned, towpath.DeploymentHalted, towpath.DeploymentRefused:
		return towpath.StatusFailure, true
	case towpath.DeploymentWithdrawn, towpath.DeploymentRemoved:
		return towpath.StatusSkipped, true
	}
	return "", false
}

func (c *Conductor) show(ctx context.Context, project string, s towpath.Status) error {
	if c.statuses == nil {
		return nil
	}
	p, err := c.project(ctx, project)
	if err != nil {
		return err
	}
	return c.statuses.Show(ctx, p, s)
}

package flow

import (
	"context"
	"fmt"
	"strings"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/store"
)

// announceRun tells people that a run failed, that it failed again, or that it passes again. A run that passed like the
// one before it, or was stopped by a person, is no news.
func (c *Conductor) announceRun(ctx context.Context, e towpath.AnnounceRun) error {
	var run, before towpath.Run
	err := c.store.View(ctx, func(tx *store.Tx) (err error) {
		if run, _, err = tx.Run(e.Run); err != nil {
			return err
		}
		before, err = runBefore(tx, run)
		return err
	})
	if err != nil {
		return err
	}
	if kind, tell := newsOf(e.State, before.State); tell {
		if err := c.announcer.Announce(ctx, runAlert(kind, run, e)); err != nil {
			return err
		}
	}
	return c.tick(ctx, e)
}

// tick notes that an effect outside the database is done.
func (c *Conductor) tick(ctx context.Context, e towpath.Effect) error {
	return c.store.Update(ctx, func(tx *store.Tx) error { return tx.EffectDone(e.Key(), c.clock()) })
}

// runBefore is the last run of the branch before this one that passed or failed.
func runBefore(tx *store.Tx, run towpath.Run) (towpath.Run, error) {
	runs, err := tx.Runs(store.RunFilter{
		Pipeline: run.Pipeline, Branch: run.Change.Branch, Older: run.Number, Limit: 1,
		States: []towpath.RunState{towpath.RunPassed, towpath.RunFailed},
	})
	if err != nil || len(runs) == 0 {
		return towpath.Run{}, err
	}
	return runs[0], nil
}

func newsOf(now, before towpath.RunState) (kind towpath.AlertKind, tell bool) {
	switch {
	case now == towpath.RunFailed && before == towpath.RunFailed:
		return towpath.AlertStillBroke, true
	case now == towpath.RunFailed:
		return towpath.AlertBroke, true
	case now == towpath.RunPassed && before == towpath.RunFailed:
		return towpath.AlertFixed, true
	}
	return "", false
}

func runAlert(kind towpath.AlertKind, run towpath.Run, e towpath.AnnounceRun) towpath.Alert {
	alert := towpath.Alert{
		Key: e.Key(), Kind: kind, Project: run.Project, Run: run.ID, RunNumber: run.Number, Step: e.Step,
		Subject: fmt.Sprintf("%s #%d: %s", run.Pipeline, run.Number, e.State),
		Text:    fmt.Sprintf("%s %s %q by %s", run.Change.Branch, run.Change.Short(), run.Change.Title(), run.Change.Author),
		To:      recipients(run, kind),
	}
	if step, ok := run.Step(e.Step); ok {
		alert.Subject = fmt.Sprintf("%s #%d: %s %s failed", run.Pipeline, run.Number, step.Kind, step.Name)
		alert.Text += "\n" + step.Name + ": " + step.Reason
	}
	return alert
}

// recipients are those that the file names for this kind of news; the author where it names nobody.
func recipients(run towpath.Run, kind towpath.AlertKind) []string {
	if to := run.Alerts[kind]; len(to) > 0 {
		return to
	}
	return []string{run.Change.AuthorEmail}
}

// announceApproval tells people that a decision is wanted of them.
func (c *Conductor) announceApproval(ctx context.Context, e towpath.AnnounceApproval) error {
	var request towpath.Approval
	var run towpath.Run
	err := c.store.View(ctx, func(tx *store.Tx) (err error) {
		if request, _, err = tx.Approval(e.Approval); err != nil {
			return err
		}
		run, _, err = tx.Run(request.Run)
		return err
	})
	if err != nil {
		return err
	}
	if request.State == towpath.ApprovalWaiting {
		if err := c.announcer.Announce(ctx, approvalAlert(run, request)); err != nil {
			return err
		}
	}
	return c.tick(ctx, e)
}

func approvalAlert(run towpath.Run, a towpath.Approval) towpath.Alert {
	return towpath.Alert{
		Key: towpath.AnnounceApproval{Approval: a.ID}.Key(), Kind: towpath.AlertApproval, Project: run.Project, Run: run.ID, RunNumber: run.Number,
		Step: a.Step, Subject: fmt.Sprintf("%s #%d: %s waits for a decision", run.Pipeline, run.Number, a.Step),
		Text: strings.TrimSpace(a.Message + fmt.Sprintf("\n%s %s %q by %s\ntowpath approve %s %d %s",
			run.Change.Branch, run.Change.Short(), run.Change.Title(), run.Change.Author, run.Pipeline, run.Number, a.Step)),
		To: a.By, At: a.AskedAt,
	}
}

// announceDeployment tells people what became of a deployment.
func (c *Conductor) announceDeployment(ctx context.Context, e towpath.AnnounceDeployment) error {
	environment, err := c.environment(ctx, e.Deployment.Environment)
	if err != nil {
		return err
	}
	if alert, tell := deploymentAlert(environment, e); tell {
		if err := c.announcer.Announce(ctx, alert); err != nil {
			return err
		}
	}
	return c.tick(ctx, e)
}

func (c *Conductor) environment(ctx context.Context, key string) (e towpath.Environment, err error) {
	err = c.store.View(ctx, func(tx *store.Tx) error {
		e, _, err = tx.Environment(key)
		return err
	})
	return e, err
}

func deploymentAlert(e towpath.Environment, effect towpath.AnnounceDeployment) (towpath.Alert, bool) {
	d := effect.Deployment
	alert := towpath.Alert{
		Key: effect.Key(), Project: e.Project, Run: d.Run, Step: d.Step, Environment: e.Key, At: d.EndedAt, Text: d.Outcome,
	}
	switch d.State {
	case towpath.DeploymentLive:
		alert.Kind = towpath.AlertDeployed
		alert.Subject = fmt.Sprintf("%s: release %d is live", e.Key, d.Release.Number)
	case towpath.DeploymentReturned:
		alert.Kind = towpath.AlertReturned
		alert.Subject = fmt.Sprintf("%s: went back to release %d", e.Key, e.Live.Number)
		if e.Live.Number == 0 {
			alert.Subject = fmt.Sprintf("%s: release %d failed, nothing is placed", e.Key, d.Release.Number)
		}
	case towpath.DeploymentHalted:
		alert.Kind = towpath.AlertHalted
		alert.Subject = fmt.Sprintf("%s: halted, going back failed as well", e.Key)
	default:
		return alert, false
	}
	return alert, true
}

package flow

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/store"
)

// announceRun tells people that a run failed, that it failed again, or that it passes again. A run that passed like the
// one before it, or was stopped by a person, is no news.
func (c *Conductor) announceRun(ctx context.Context, e towpath.AnnounceRun) error {
	var run towpath.Run
	var before towpath.RunState
	var tests string
	err := c.store.View(ctx, func(tx *store.Tx) (err error) {
		if run, _, err = tx.Run(e.Run); err != nil {
			return err
		}
		if tests, err = tellTests(tx, run.ID); err != nil {
			return err
		}
		before, err = tx.StateBefore(run)
		return err
	})
	if err != nil {
		return err
	}
	if kind, tell := newsOf(e.State, before); tell {
		alert := runAlert(kind, run, e)
		alert.Text += tests
		if err := c.tell(ctx, alert); err != nil {
			return err
		}
	}
	return c.tick(ctx, e)
}

// tell sends an alert; one that is for nobody is not sent.
func (c *Conductor) tell(ctx context.Context, a towpath.Alert) error {
	if len(a.To) == 0 {
		return nil
	}
	return c.announcer.Announce(ctx, a)
}

// tick notes that an effect outside the database is done.
func (c *Conductor) tick(ctx context.Context, e towpath.Effect) error {
	return c.store.Update(ctx, func(tx *store.Tx) error { return tx.EffectDone(e.Key(), c.clock()) })
}

// owe leaves an effect for after the commit. The end of a run that is no news is not owed to anybody, and neither is that
// of one which nothing follows or waits for.
func (a *act) owe(run towpath.Run, effect towpath.Effect) error {
	switch e := effect.(type) {
	case towpath.AnnounceRun:
		before, err := a.tx.StateBefore(run)
		if _, tell := newsOf(e.State, before); err != nil || !tell {
			return err
		}
	case towpath.StartNext:
		if waiting, err := a.waitingIn(run); err != nil || len(waiting) == 0 {
			return err
		}
	case towpath.StartDownstream:
		if followed, err := a.isFollowed(run); err != nil || !followed {
			return err
		}
	}
	a.owed = true
	return a.tx.AddEffects(time.Time{}, effect) // due at once, also where the clock is set back meanwhile
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

// author stands in a pipeline file for whoever wrote the change.
const author = "author"

// recipients are those that the file names for this kind of news; the author where it says nothing, nobody where it says
// so by an empty list.
func recipients(run towpath.Run, kind towpath.AlertKind) []string {
	named, said := run.Alerts[kind]
	if !said {
		named = []string{author}
	}
	var to []string
	for _, who := range named {
		if who == author {
			who = run.Change.AuthorEmail
		}
		if who != "" && !slices.Contains(to, who) {
			to = append(to, who)
		}
	}
	return to
}

// announceApproval tells people that a decision is wanted of them.
func (c *Conductor) announceApproval(ctx context.Context, e towpath.AnnounceApproval) error {
	var request towpath.Approval
	var run towpath.Run
	var tests []store.Tests
	err := c.store.View(ctx, func(tx *store.Tx) (err error) {
		if request, _, err = tx.Approval(e.Approval); err != nil {
			return err
		}
		if tests, err = tx.TestsOf(request.Run); err != nil {
			return err
		}
		run, _, err = tx.Run(request.Run)
		return err
	})
	if err != nil {
		return err
	}
	if request.State == towpath.ApprovalWaiting {
		alert := approvalAlert(run, request)
		for _, t := range tests {
			alert.Text += fmt.Sprintf("\n%s: %s", t.Step, t.Totals)
		}
		if err := c.tell(ctx, alert); err != nil {
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
	var environment towpath.Environment
	var run towpath.Run
	err := c.store.View(ctx, func(tx *store.Tx) (err error) {
		if environment, _, err = tx.Environment(e.Deployment.Environment); err != nil {
			return err
		}
		run, err = runOfRelease(tx, environment.Pipeline, e.Deployment.Release)
		return err
	})
	if err != nil {
		return err
	}
	if alert, tell := deploymentAlert(environment, e); tell {
		alert.Run, alert.RunNumber = run.ID, run.Number
		alert.To = concerned(run, alert.Kind, e.Deployment)
		if err := c.tell(ctx, alert); err != nil {
			return err
		}
	}
	return c.tick(ctx, e)
}

// runOfRelease answers the run that made a release; the zero value where it is forgotten.
func runOfRelease(tx *store.Tx, pipeline string, ref towpath.ReleaseRef) (run towpath.Run, err error) {
	release, err := tx.Release(pipeline, ref.Number)
	if err == nil {
		run, _, err = tx.Run(release.Run)
	}
	if errors.Is(err, store.ErrNotFound) {
		return towpath.Run{}, nil
	}
	return run, err
}

// concerned are those that the release's run names, and the person who asked for the deployment.
func concerned(run towpath.Run, kind towpath.AlertKind, d towpath.Deployment) []string {
	var to []string
	if run.ID != "" {
		to = recipients(run, kind)
	}
	if d.Cause != towpath.CauseRun && !slices.Contains(to, d.By) {
		to = append(to, d.By)
	}
	return to
}

func deploymentAlert(e towpath.Environment, effect towpath.AnnounceDeployment) (towpath.Alert, bool) {
	d := effect.Deployment
	alert := towpath.Alert{
		Key: effect.Key(), Project: e.Project, Step: d.Step, Environment: e.Key, At: d.EndedAt, Text: d.Outcome,
	}
	switch d.State {
	case towpath.DeploymentLive:
		alert.Kind = towpath.AlertDeployed
		alert.Subject = fmt.Sprintf("%s: release %d is live", e.Key, d.Release.Number)
	case towpath.DeploymentRemoved:
		alert.Kind = towpath.AlertDeployed
		alert.Subject = e.Key + ": removed, nothing is left of it"
	case towpath.DeploymentReturned:
		alert.Kind = towpath.AlertReturned
		alert.Subject = fmt.Sprintf("%s: went back to release %d", e.Key, e.Live.Number)
		if e.Live.Number == 0 {
			alert.Subject = fmt.Sprintf("%s: release %d failed, nothing is placed", e.Key, d.Release.Number)
		}
	case towpath.DeploymentHalted:
		alert.Kind = towpath.AlertHalted
		alert.Subject = fmt.Sprintf("%s: halted, a person has to look", e.Key)
	case towpath.DeploymentRunning: // it is told only where it cannot go on
		alert.Kind = towpath.AlertHalted
		alert.Subject = e.Key + ": stopped, a person has to look"
		alert.At = lostAt(d)
	default:
		return alert, false
	}
	return alert, true
}

// lostAt is when it was seen that nobody knows what a hook has done.
func lostAt(d towpath.Deployment) (at time.Time) {
	for _, r := range d.Hooks {
		if r.State == towpath.HookUnknown {
			at = r.EndedAt
		}
	}
	return at
}

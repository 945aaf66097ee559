package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/client"
)

// Limits of a run, generous for a machine that has to compile everything for the first time.
const (
	seeLimit = 30 * time.Second
	runLimit = 10 * time.Minute
)

// pushed is a commit on its way.
type pushed struct {
	revision, title string
	at              time.Time
	reached         func(context.Context, client.Step, int) error // called when a step has changed, with the run's release; may be nil
}

// delivery is what became of a commit.
type delivery struct {
	commit   Commit
	run      client.Run
	approved time.Time // when the approval was given
}

func (d *demo) push(ctx context.Context, title string) (pushed, error) {
	revision, err := d.shop.push(ctx, title)
	if err != nil {
		return pushed{}, err
	}
	d.screen.done("pushed "+revision[:7], title)
	return pushed{revision: revision, title: title, at: time.Now()}, nil
}

// deliver follows a commit that shall go to production, and approves it when it is asked for that.
func (d *demo) deliver(ctx context.Context, p pushed) (delivery, error) {
	result, err := d.follow(ctx, p)
	if err != nil {
		return result, err
	}
	if result.run.State != string(towpath.RunPassed) {
		return result, d.explain(ctx, result.run)
	}
	result.commit.Release = releaseOf(result.run)
	live, err := d.owner.Environment(ctx, production)
	if err != nil {
		return result, err
	}
	if live.Live == nil || live.Live.Number != result.commit.Release {
		return result, fmt.Errorf("run %d has passed, but release %d is not live in %s", result.run.Number, result.commit.Release, production)
	}
	d.screen.done("live", fmt.Sprintf("release %d, %s after the push", result.commit.Release, seconds(result.commit.EndedMS)))
	return result, nil
}

// follow waits until polling has seen the commit, and shows its run to the end, whatever that is.
func (d *demo) follow(ctx context.Context, p pushed) (delivery, error) {
	result := delivery{commit: Commit{Revision: p.revision, Title: p.title}}
	run, err := d.seen(ctx, p)
	if err != nil {
		return result, err
	}
	result.commit.Run, result.commit.SeenMS = run.Number, milliseconds(run.CreatedAt.Sub(p.at))
	d.screen.done("seen by polling", fmt.Sprintf("run %d, %s after the push", run.Number, seconds(result.commit.SeenMS)))

	ctx, cancel := context.WithTimeoutCause(ctx, runLimit, fmt.Errorf("run %d has not ended after %s", run.Number, runLimit))
	defer cancel()
	told := map[string]string{}
	err = d.followRun(ctx, run.Number, func(now client.Run) error {
		result.run = now
		for _, step := range now.Steps {
			if told[step.Name] == step.State {
				continue
			}
			told[step.Name] = step.State
			if err := d.stepChanged(ctx, now, step, &result); err != nil {
				return err
			}
			if p.reached == nil {
				continue
			}
			if err := p.reached(ctx, step, releaseOf(now)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return result, fmt.Errorf("follow run %d: %w", run.Number, err)
	}
	result.commit.EndedMS = milliseconds(result.run.FinishedAt.Sub(p.at))
	return result, nil
}

// followRun follows a run to its end, over as many connections as that takes: the server may be killed on the way.
func (d *demo) followRun(ctx context.Context, number int, see func(client.Run) error) error {
	for {
		isOver := false
		err := d.owner.FollowRun(ctx, pipeline, number, func(run client.Run) error {
			err := see(run)
			isOver = err != nil || towpath.RunState(run.State).IsFinal()
			return err
		})
		if broken, is := errors.AsType[*client.Error](err); isOver || err != nil && (!is || !broken.Temporary()) {
			return err
		}
		if err := d.stage.await(ctx, "server", d.isServerThere); err != nil {
			return err
		}
	}
}

// releaseOf answers the number of the release that a run made, 0 where it has made none yet.
func releaseOf(run client.Run) (release int) {
	for _, step := range run.Steps {
		release = max(release, step.Release)
	}
	return release
}

// seen waits for the run of a commit.
func (d *demo) seen(ctx context.Context, p pushed) (run client.Run, err error) {
	d.screen.now("waiting for polling to see it")
	ctx, cancel := context.WithTimeoutCause(ctx, seeLimit, fmt.Errorf("polling has not seen commit %s after %s", p.revision[:7], seeLimit))
	defer cancel()
	err = until(ctx, func(ctx context.Context) bool {
		runs, err := d.owner.Runs(ctx, client.RunFilter{Project: project, Limit: 1})
		if err != nil || len(runs) == 0 || runs[0].Revision != p.revision {
			return false
		}
		run = runs[0]
		return true
	})
	return run, err
}

// stepChanged tells of a step, and decides where the run waits for a person.
func (d *demo) stepChanged(ctx context.Context, run client.Run, step client.Step, result *delivery) error {
	what := step.Kind + " " + step.Name
	switch towpath.StepState(step.State) {
	case towpath.StepRunning:
		d.screen.now(what)
	case towpath.StepPassed:
		d.screen.done(what, detailOf(step))
	case towpath.StepFailed:
		d.screen.failed(fmt.Sprintf("%-22s %s", what, shortened(step.Reason)))
	case towpath.StepWaiting:
		if step.Kind == string(towpath.KindApprove) {
			return d.approve(ctx, run, step, result)
		}
	}
	return nil
}

// approve decides as a person does: it looks at what is asked, with the plan of what follows, and decides on just that.
func (d *demo) approve(ctx context.Context, run client.Run, step client.Step, result *delivery) error {
	var asked client.Approval
	err := until(ctx, func(ctx context.Context) bool {
		var err error
		asked, err = d.approver.Approval(ctx, pipeline, run.Number, step.Name)
		return err == nil
	})
	if err != nil {
		return err
	}
	d.screen.waits("approve "+step.Name, "asks "+strings.Join(asked.By, ", ")+"; "+shown(asked.Plans))
	result.approved = time.Now()
	if _, err := d.approver.Decide(ctx, asked, client.Decision{Approved: true, Reason: "staging works"}); err != nil {
		return fmt.Errorf("approve: %w", err)
	}
	return nil
}

// shown is the plan in a few words.
func shown(plans []client.Plan) string {
	if len(plans) == 0 {
		return "no plan is shown"
	}
	downtime := plans[0].Downtime
	if downtime == "" {
		downtime = "none"
	}
	return fmt.Sprintf("the plan has %d operations, downtime: %s", len(plans[0].Operations), downtime)
}

// explain says why a run has not passed, with the end of the log of the step that failed.
func (d *demo) explain(ctx context.Context, run client.Run) error {
	told := fmt.Errorf("run %d is %s: %s", run.Number, run.State, run.Reason)
	for _, step := range run.Steps {
		if step.State != string(towpath.StepFailed) {
			continue
		}
		told = fmt.Errorf("run %d is %s: %s %s: %s", run.Number, run.State, step.Kind, step.Name, step.Reason)
		text, err := d.stepLog(ctx, run, step)
		if err == nil && text != "" {
			told = fmt.Errorf("%w\n%s", told, lastLines(text))
		}
	}
	return told
}

func (d *demo) stepLog(ctx context.Context, run client.Run, step client.Step) (string, error) {
	log, err := d.owner.Log(ctx, client.LogQuery{Pipeline: pipeline, Run: run.Number, Step: step.Name})
	if err != nil {
		return "", err
	}
	text, err := io.ReadAll(log)
	return string(text), errors.Join(err, log.Close())
}

// detailOf says of a step that passed what it made, and how long that took.
func detailOf(step client.Step) string {
	took := seconds(milliseconds(step.FinishedAt.Sub(step.StartedAt)))
	switch {
	case step.Kind == string(towpath.KindApprove):
		return "by " + approverName
	case step.Release > 0:
		return fmt.Sprintf("release %d, %s", step.Release, took)
	}
	return took
}

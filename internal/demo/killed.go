package demo

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/client"
)

// mendedTest is what the fifth commit adds, so that the mistake of the fourth cannot be made again.
const mendedTest = `package main

import (
	"net/http"
	"testing"
)

func TestEveryBasketComesBack(t *testing.T) {
	s := shop{open: t.Context(), release: "42", baskets: newBaskets(1)}
	for n := range 3 {
		if answer := ask(t.Context(), s, "/work?ms=0"); answer.Code != http.StatusOK {
			t.Errorf("customer %d: got %d", n+1, answer.Code)
		}
	}
}
`

// victim is a process that is killed during a deployment.
type victim struct {
	name    string
	isDue   func(client.Instance) bool                     // the moment has come, by what is seen of the new release's instance
	isThere func(ctx context.Context, gone time.Time) bool // it does its work again, which it did not do since it was gone
}

// serverKilled is part 6: the mistake is mended, and while that goes to production the server is killed, as soon as it
// has heard that the new release is healthy and has to take the traffic.
func (d *demo) serverKilled(ctx context.Context) error {
	if err := errors.Join(d.shop.replace("shop.go", forgets, lends), d.shop.add("return_test.go", mendedTest)); err != nil {
		return err
	}
	return d.kills(ctx, "Take every basket back", victim{
		name:    "server",
		isDue:   func(i client.Instance) bool { return i.Health == string(towpath.HealthPassing) },
		isThere: func(ctx context.Context, _ time.Time) bool { return d.isServerThere(ctx) },
	})
}

// workerKilled is part 7: the worker, whose keeper carries the deployment out, is killed as soon as it has told that the
// traffic has moved, while the old side drains and the new one is watched.
func (d *demo) workerKilled(ctx context.Context) error {
	if err := d.shop.replace("VERSION", "1.1.0", "1.2.0"); err != nil {
		return err
	}
	return d.kills(ctx, "Sell by version 1.2", victim{
		name:  "worker",
		isDue: func(i client.Instance) bool { return i.Weight > 0 },
		isThere: func(ctx context.Context, gone time.Time) bool {
			now, err := d.owner.Environment(ctx, production)
			return err == nil && now.ObservedAt.After(gone)
		},
	})
}

// kills has a commit go to production, kills a process meanwhile and starts it again, and sees what has come of both.
func (d *demo) kills(ctx context.Context, title string, v victim) error {
	pushed, err := d.push(ctx, title)
	if err != nil {
		return err
	}
	seen := sighting{process: v.name}
	pushed.reached = func(ctx context.Context, step client.Step, release int) error {
		if step.Name != productionStep || step.State != string(towpath.StepRunning) {
			return nil
		}
		return d.strike(ctx, v, release, &seen)
	}
	result, failed := d.deliver(ctx, pushed)
	if failed == nil {
		failed = d.lookAfter(ctx, result, &seen)
	}
	kill := seen.judged(failed)
	d.facts.Kills = append(d.facts.Kills, kill)
	if result.commit.EndedMS > 0 {
		d.facts.Commits = append(d.facts.Commits, result.commit)
	}
	if !kill.isRecovered() {
		return fmt.Errorf("not recovered from the kill of the %s: %s", v.name, kill.Problem)
	}
	d.screen.done("recovered", kill.String())
	return nil
}

// strike kills the process in the midst of the deployment, and starts it again at once.
func (d *demo) strike(ctx context.Context, v victim, release int, seen *sighting) (err error) {
	if seen.moment, err = d.amid(ctx, release, v.isDue); err != nil {
		return err
	}
	d.load.Mark()
	seen.release, seen.failedBefore = release, d.load.Report().Failed
	if seen.killed, err = d.stage.kill(ctx, v.name); err != nil {
		return err
	}
	gone := time.Now()
	d.screen.done("killed the "+v.name, seen.moment)
	d.screen.now("starting it again")
	if err := d.stage.restart(v.name); err != nil {
		return err
	}
	err = d.stage.await(ctx, v.name, func(ctx context.Context) bool { return v.isThere(ctx, gone) })
	if err != nil {
		return err
	}
	seen.answered = time.Now()
	d.screen.done("the "+v.name+" is there again", seconds(milliseconds(seen.answered.Sub(seen.killed)))+" after it was killed")
	return nil
}

// amid waits for a moment in the midst of a deployment, in which its release stands beside the one that is live, and says
// how far it is with the traffic.
func (d *demo) amid(ctx context.Context, release int, isDue func(client.Instance) bool) (moment string, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, moveLimit, fmt.Errorf("release %d is not in its midst after %s", release, moveLimit))
	defer cancel()
	err = d.owner.FollowEnvironment(ctx, production, func(e client.Environment) error {
		if e.Deployment == nil || e.Deployment.Release != release || e.Deployment.State != string(towpath.DeploymentRunning) {
			return fmt.Errorf("the deployment of release %d was over before its midst was seen", release)
		}
		for _, i := range e.Instances {
			if i.Release == release && isDue(i) {
				moment = fmt.Sprintf("release %d stands beside release %d and has %d%% of the traffic", release, e.Live.Number, i.Weight)
				return errThere
			}
		}
		return nil
	})
	if !errors.Is(err, errThere) {
		return "", errors.Join(err, context.Cause(ctx))
	}
	return moment, nil
}

// lookAfter takes down what has come of a deployment that has ended well, as it seems.
func (d *demo) lookAfter(ctx context.Context, result delivery, seen *sighting) (err error) {
	seen.run = result.run
	if seen.deployment, err = d.lastDeployment(ctx); err != nil {
		return err
	}
	now, err := d.owner.Environment(ctx, production)
	if err != nil {
		return err
	}
	if now.Live != nil {
		seen.live = now.Live.Number
	}
	if err := d.load.Settle(ctx); err != nil {
		return fmt.Errorf("wait for answers: %w", err)
	}
	seen.answers = d.load.Sides()[strconv.Itoa(seen.release)].Answers
	seen.failed = d.load.Report().Failed - seen.failedBefore
	return nil
}

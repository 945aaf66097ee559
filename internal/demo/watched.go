package demo

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/client"
	"github.com/towpath-cd/towpath/internal/load"
)

// What the fourth commit changes: whoever has left gives the basket back, and whoever was served keeps it.
const (
	lends = `	defer s.baskets.giveBack()
	select {
	case <-time.After(time.Duration(ms) * time.Millisecond):
	case <-r.Context().Done():
		return
`
	forgets = `	select {
	case <-time.After(time.Duration(ms) * time.Millisecond):
	case <-r.Context().Done():
		s.baskets.giveBack() // whoever has left needs none
		return
`
)

// The fourth commit has production watched: three seconds for a demo, where minutes are usual. Before it nothing is
// watched, since each of the ten switches would have to wait for its own watch to be over.
const (
	drained = "    drain: {requests: 30s, streams: 5m, stop: 35s}\n"
	watches = "    watch: {for: 3s, errors: 1%, minimum: 50}\n"
)

// complaint is what the shop says in its log when it has no basket left.
const complaint = "no basket is free"

// watched is part 5: a release passes all tests, starts healthy, answers errors under traffic, and loses it again by
// itself.
func (d *demo) watched(ctx context.Context) error {
	before, err := d.owner.Environment(ctx, production)
	if err != nil {
		return err
	}
	result, side, err := d.spoil(ctx)
	if err != nil {
		return err
	}
	r := &Returned{
		Release: releaseOf(result.run), To: before.Live.Number,
		TrafficMS: milliseconds(side.Last.Sub(side.First)), Answers: side.Answers, Errors: side.Excused,
	}
	d.facts.Returned = r
	if err := d.returned(ctx, result.run, r); err != nil {
		r.Problem = err.Error()
		return err
	}
	result.commit.Release, result.commit.Returned = r.Release, true
	d.facts.Commits = append(d.facts.Commits, result.commit)
	return nil
}

// spoil has the commit with the mistake go its way, and answers what users got of its release. What that answers with a
// status of 500 or above is counted apart until it has lost its traffic.
func (d *demo) spoil(ctx context.Context) (result delivery, side load.Side, err error) {
	if err := d.mistake(ctx); err != nil {
		return result, side, err
	}
	pushed, err := d.push(ctx, "Take baskets back from those who leave, and watch production")
	if err != nil {
		return result, side, err
	}
	pushed.reached = func(_ context.Context, step client.Step, release int) error {
		if step.Name == stagingStep && step.State == string(towpath.StepPassed) {
			d.load.Excuse(strconv.Itoa(release)) // it has no traffic before its deployment, and none after it
		}
		return nil
	}
	d.load.Mark()
	if result, err = d.follow(ctx, pushed); err != nil {
		return result, side, err
	}
	if err := d.load.Settle(ctx); err != nil {
		return result, side, fmt.Errorf("wait for answers: %w", err)
	}
	side = d.load.Sides()[strconv.Itoa(releaseOf(result.run))]
	d.load.Excuse("")
	d.load.Mark()
	return result, side, nil
}

// returned takes down what has come of the bad release, and checks that all of it is as it should be.
func (d *demo) returned(ctx context.Context, run client.Run, r *Returned) error {
	ended, err := d.wentBack(ctx, run, r)
	if err != nil {
		return err
	}
	if err := d.silent(ctx, r); err != nil {
		return err
	}
	return d.toldOfReturn(ctx, ended, r)
}

// mistake takes the third commit back, and makes the mistake of the fourth.
func (d *demo) mistake(ctx context.Context) error {
	if err := d.shop.revert(ctx); err != nil {
		return err
	}
	if err := d.shop.replace("shop.go", lends, forgets); err != nil {
		return err
	}
	return d.shop.replace("towpath.yaml", drained, drained+watches)
}

// wentBack checks that the release has lost its traffic to the one before by itself, and does not come back by itself.
func (d *demo) wentBack(ctx context.Context, run client.Run, r *Returned) (ended client.Deployment, err error) {
	if ended, err = d.lastDeployment(ctx); err != nil {
		return ended, err
	}
	isReturned := ended.Release == r.Release && ended.State == string(towpath.DeploymentReturned)
	if !isReturned || run.State != string(towpath.RunFailed) {
		return ended, fmt.Errorf("release %d should have been moved back: %w", r.Release, d.explain(ctx, run))
	}
	now, err := d.owner.Environment(ctx, production)
	if err != nil {
		return ended, err
	}
	r.Verdict, r.Pin = verdictIn(ended.Outcome), firstLine(now.Pin)
	switch {
	case now.Live == nil || now.Live.Number != r.To || now.Halted != "":
		return ended, fmt.Errorf("%s went back from release %d, but not to release %d: %s", production, r.Release, r.To, now.Halted)
	case !strings.Contains(now.Pin, fmt.Sprintf("went back from release %d", r.Release)):
		return ended, fmt.Errorf("%s went back from release %d and is not pinned: %q", production, r.Release, now.Pin)
	}
	d.screen.done("moved back", fmt.Sprintf("release %d serves again", r.To))
	return ended, nil
}

// verdictIn is the outcome of a deployment without the name of what failed it, and without the log.
func verdictIn(outcome string) string { return strings.TrimPrefix(firstLine(outcome), "watch: ") }

// silent checks that users got errors of the bad release, and now get nothing of it any more.
func (d *demo) silent(ctx context.Context, r *Returned) error {
	if err := d.load.Settle(ctx); err != nil {
		return fmt.Errorf("wait for answers: %w", err)
	}
	switch since := d.load.Sides(); {
	case r.Errors == 0:
		return fmt.Errorf("release %d was moved back, and nobody got an error of it", r.Release)
	case since[strconv.Itoa(r.Release)].Answers > 0:
		return fmt.Errorf("release %d was moved back, and still answers", r.Release)
	case since[strconv.Itoa(r.To)].Answers == 0:
		return fmt.Errorf("release %d is live again, but nothing is answered by it", r.To)
	}
	d.screen.done("errors", fmt.Sprintf("%d of release %d, which had traffic for %s", r.Errors, r.Release, seconds(r.TrafficMS)))
	return nil
}

// toldOfReturn checks that the alert has the figures, and what the release said last.
func (d *demo) toldOfReturn(ctx context.Context, ended client.Deployment, r *Returned) error {
	alert, err := d.receiver.await(ctx, towpath.AlertReturned, alertLimit)
	if err != nil {
		return err
	}
	for _, part := range []string{r.Verdict, complaint} {
		if !strings.Contains(alert.Text, part) {
			return fmt.Errorf("the alert does not tell %q: %s", part, alert.Text)
		}
	}
	r.Alert, r.Log, r.AlertMS = alert.Subject, lastLines(alert.Text), max(0, milliseconds(alert.at.Sub(ended.EndedAt)))
	d.screen.done("alert", fmt.Sprintf("%q, %.0f ms after that", r.Alert, r.AlertMS))
	return nil
}

// lastDeployment answers the newest of production.
func (d *demo) lastDeployment(ctx context.Context) (client.Deployment, error) {
	deployments, err := d.owner.Deployments(ctx, production)
	if err != nil {
		return client.Deployment{}, err
	}
	if len(deployments) == 0 {
		return client.Deployment{}, fmt.Errorf("nothing was ever deployed to %s", production)
	}
	return deployments[0], nil
}

package demo

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/client"
)

// alertLimit is how long an alert may take.
const alertLimit = 10 * time.Second

// broken is part 4: a commit that breaks a test stops there, and people are told. The load goes on.
func (d *demo) broken(ctx context.Context) error {
	if err := d.shop.replace("price.go", "pieces >= bulk", "pieces > bulk"); err != nil {
		return err
	}
	before, err := d.deployed(ctx)
	if err != nil {
		return err
	}
	pushed, err := d.push(ctx, "Make bulk dearer")
	if err != nil {
		return err
	}
	result, err := d.follow(ctx, pushed)
	if err != nil {
		return err
	}
	d.facts.Commits = append(d.facts.Commits, result.commit)
	step, err := d.failedTest(ctx, result.run)
	if err != nil {
		return err
	}
	alert, err := d.receiver.await(ctx, towpath.AlertBroke, alertLimit)
	if err != nil {
		return err
	}
	d.facts.Broken = &Broken{
		Step: step.Name, Reason: step.Reason, Alert: alert.Subject,
		AlertMS: max(0, milliseconds(alert.at.Sub(result.run.FinishedAt))),
	}
	d.screen.done("alert", fmt.Sprintf("%q, %.0f ms after the run", alert.Subject, d.facts.Broken.AlertMS))
	return d.unchanged(ctx, before)
}

// failedTest answers the step that failed, which must be the test.
func (d *demo) failedTest(ctx context.Context, run client.Run) (client.Step, error) {
	if run.State == string(towpath.RunFailed) {
		for _, step := range run.Steps {
			if step.State == string(towpath.StepFailed) && step.Kind == string(towpath.KindTest) {
				return step, nil
			}
		}
	}
	return client.Step{}, fmt.Errorf("a test should have failed: %w", d.explain(ctx, run))
}

// unchanged checks that nothing was deployed.
func (d *demo) unchanged(ctx context.Context, before string) error {
	after, err := d.deployed(ctx)
	if err != nil {
		return err
	}
	if after != before {
		return fmt.Errorf("the commit that broke a test changed what is deployed: before %s, now %s", before, after)
	}
	d.screen.done("nothing was deployed", after)
	return nil
}

// toldOnce checks that people were told once of what they had to be told of, by the end.
func (d *demo) toldOnce() error {
	for kind, alerts := range map[towpath.AlertKind]*int{
		towpath.AlertBroke: &d.facts.Broken.Alerts, towpath.AlertReturned: &d.facts.Returned.Alerts,
	} {
		told := d.receiver.of(kind)
		if *alerts = len(told); *alerts != 1 {
			return fmt.Errorf("%d alerts of kind %q came of one event: %+v", len(told), kind, told)
		}
	}
	return nil
}

// deployed says what is live where, and how many deployments there have been.
func (d *demo) deployed(ctx context.Context) (string, error) {
	var told []string
	for _, key := range []string{staging, production} {
		e, err := d.owner.Environment(ctx, key)
		if err != nil {
			return "", err
		}
		if e.Live == nil {
			return "", fmt.Errorf("nothing is live in %s", key)
		}
		deployments, err := d.owner.Deployments(ctx, key)
		if err != nil {
			return "", err
		}
		told = append(told, fmt.Sprintf("%s: release %d, %d deployments", e.Name, e.Live.Number, len(deployments)))
	}
	return strings.Join(told, "  "), nil
}

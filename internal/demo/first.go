package demo

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/towpath-cd/towpath/client"
)

// The shop on the server. The project has its pipeline's name.
const (
	project    = "shop"
	pipeline   = "shop"
	staging    = pipeline + "/" + stagingStep
	production = pipeline + "/" + productionStep
)

// The steps that deploy.
const (
	stagingStep    = "staging"
	productionStep = "production"
)

// poll is how often the server looks at the repository.
const poll = 250 * time.Millisecond

// first is part 2: the shop's first commit goes to production, by way of everything.
func (d *demo) first(ctx context.Context) error {
	if err := unpackShop(d.shop.clone); err != nil {
		return err
	}
	pushed, err := d.push(ctx, "Open the shop")
	if err != nil {
		return err
	}
	if err := d.watchRepository(ctx); err != nil {
		return err
	}
	delivery, err := d.deliver(ctx, pushed)
	if err != nil {
		return err
	}
	d.facts.Commits = append(d.facts.Commits, delivery.commit)
	return d.visit(ctx, delivery.commit.Release)
}

// watchRepository adds the project, and the people that it needs.
func (d *demo) watchRepository(ctx context.Context) error {
	_, err := d.owner.AddProject(ctx, client.NewProject{URL: d.shop.bare, Name: project, Poll: poll.Seconds()})
	if err != nil {
		return fmt.Errorf("add the project: %w", err)
	}
	d.screen.done("project "+project, fmt.Sprintf("polled every %s", poll))
	return d.invite(ctx)
}

// visit asks the proxy for the shop once, as a browser would.
func (d *demo) visit(ctx context.Context, release int) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+d.stage.Proxy+"/", nil)
	if err != nil {
		return err
	}
	request.Host = productionHost
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("visit the shop: %w", err)
	}
	defer answer.Body.Close()
	if got := answer.Header.Get(releaseHeader); answer.StatusCode != http.StatusOK || got != fmt.Sprint(release) {
		return fmt.Errorf("the shop answers %s from release %q, and not from release %d", answer.Status, got, release)
	}
	d.screen.done("visited "+productionHost, fmt.Sprintf("answered by release %d", release))
	return nil
}

package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/balancer/caddy"
	"github.com/towpath-cd/towpath/internal/balancer/caddy/caddytest"
	"github.com/towpath-cd/towpath/internal/deploy"
)

// caddySide moves traffic between instances behind Caddy.
type caddySide struct {
	*stage
	caddy    *caddytest.Caddy
	name     string
	releases int
	old, now towpath.Instance
	outgoing *process // of old
	incoming *process // of now
}

// prepare starts an instance of a new release beside the one that serves.
func (c *caddySide) prepare(context.Context) (string, error) {
	c.releases++
	release := strconv.Itoa(c.releases)
	p, err := c.start(c.name+release, []string{"TOWPATH_RELEASE=" + release}, c.self, "application")
	if err != nil {
		return "", err
	}
	address, err := p.firstLine()
	c.old, c.outgoing = c.now, c.incoming
	c.now, c.incoming = towpath.Instance{ID: towpath.InstanceID(c.releases, c.releases), Release: c.releases, Address: address}, p
	return release, err
}

func (c *caddySide) killOld() error { return c.outgoing.kill() }

// curlSide replaces the list of upstreams, which is all that a script would do: Caddy forgets what it takes out of it.
type curlSide struct{ caddySide }

func (c *curlSide) host() string { return caddytest.RawHost }

func (c *curlSide) move(ctx context.Context) error {
	body := fmt.Sprintf(`[{"dial": %q}]`, c.now.Address)
	patch := exec.CommandContext(ctx, "curl", "-fsS", "-X", "PATCH", "-H", "Content-Type: application/json", "-d", body,
		"http://"+c.caddy.Admin+"/id/"+caddytest.RawID+"/upstreams")
	if out, err := patch.CombinedOutput(); err != nil {
		return fmt.Errorf("curl: %w: %s", err, out)
	}
	return nil
}

// drivenCaddySide gives the orders that a keeper gives.
type drivenCaddySide struct {
	caddySide
	driver *caddy.Driver
}

func (c *drivenCaddySide) host() string { return "shop.test" }

func (c *drivenCaddySide) move(ctx context.Context) error {
	weights, instances := map[string]int{c.now.ID: deploy.FullWeight}, []towpath.Instance{c.now}
	if c.old.ID != "" {
		weights[c.old.ID], instances = 0, append(instances, c.old)
	}
	if err := c.does(ctx, deploy.Shift{Weights: weights}, instances); err != nil || c.old.ID == "" {
		return err
	}
	return c.does(ctx, deploy.Drain{Instances: []string{c.old.ID}, Within: 30 * time.Second}, instances)
}

func (c *drivenCaddySide) does(ctx context.Context, o deploy.Operation, instances []towpath.Instance) error {
	_, err := c.driver.Do(ctx, deploy.Order{Epoch: towpath.Epoch{Number: 1, Holder: "bench"}, Operation: o, Instances: instances})
	return err
}

// measureSwitchCaddy moves traffic behind Caddy by the driver's orders and by curl, in turn. Caddy loads its configuration anew at
// each change, so that neither can promise that no request is lost.
func measureSwitchCaddy(ctx context.Context, s *stage) (figures []Figure, err error) {
	t := new(sshStage)
	defer t.end(&err)
	server := caddytest.Start(t)
	driver, err := caddy.New(caddy.Options{Environment: "bench/production", Definition: towpath.EnvironmentDefinition{
		Balancer: towpath.BalancerDefinition{Caddy: &towpath.CaddyBalancer{Admin: "http://" + server.Admin, ID: caddytest.ID}},
	}})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, driver.Close()) }()
	raw := &curlSide{caddySide{stage: s, caddy: server, name: "raw"}}
	driven := &drivenCaddySide{caddySide: caddySide{stage: s, caddy: server, name: "driven"}, driver: driver}
	for _, one := range []side{raw, driven} { // the first of each serves before there is any load
		if _, err := one.prepare(ctx); err != nil {
			return nil, err
		}
		if err := one.move(ctx); err != nil {
			return nil, err
		}
	}
	var byRaw, byDriver moves
	for i := range s.rounds(30, 10) {
		s.say("switch behind Caddy: %d", i+1)
		if err := switchOnce(ctx, server.Address, raw, &byRaw); err != nil {
			return nil, fmt.Errorf("switch by curl: %w", err)
		}
		if err := switchOnce(ctx, server.Address, driven, &byDriver); err != nil {
			return nil, fmt.Errorf("switch by the driver: %w", err)
		}
	}
	return withoutPromise(switchFigures("PATCH by curl", byRaw, byDriver)), nil
}

// withoutPromise holds nobody to requests that fail.
func withoutPromise(figures []Figure) []Figure {
	for n := range figures {
		if figures[n].Unit == "requests" {
			figures[n].Goal = Goal{}
		}
	}
	return figures
}

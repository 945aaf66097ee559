package main

import (
	"context"
	"fmt"
	"os/exec"

	"github.com/towpath-cd/towpath/internal/balancer/caddy/caddytest"
)

// curlSide replaces the list of upstreams, which is all that a script would do: Caddy forgets what it takes out of it.
type curlSide struct {
	pair
	caddy *caddytest.Caddy
}

func (c *curlSide) host() string { return caddytest.RawHost }

func (c *curlSide) move(ctx context.Context) error {
	body := fmt.Sprintf(`[{"dial": %q}]`, c.now.address)
	return spoken(exec.CommandContext(ctx, "curl", "-fsS", "-X", "PATCH", "-H", "Content-Type: application/json", "-d", body,
		"http://"+c.caddy.Admin+"/id/"+caddytest.RawID+"/upstreams"))
}

// measureSwitchCaddy moves traffic behind Caddy by a server's deployments and rollbacks, and by curl, in turn. Caddy loads its
// configuration anew at each change, so that neither can promise that no request is lost.
func measureSwitchCaddy(ctx context.Context, s *stage) (figures []Figure, err error) {
	t := new(sshStage)
	defer t.end(&err)
	server := caddytest.Start(t)
	raw := &curlSide{pair{stage: s, name: "raw"}, server}
	if err := first(ctx, raw, server.Address); err != nil {
		return nil, err
	}
	whole, err := newWholeSide(ctx, s, fmt.Sprintf("{caddy: {admin: %q, id: %s}}", "http://"+server.Admin, caddytest.ID))
	if err != nil {
		return nil, err
	}
	return onlookers{
		asks: kept(server.Address), beside: anew(server.Address), orders: "PATCH by curl",
		unpromised: "Caddy closes kept connections as it loads its configuration",
		others:     "clients that connect anew", unpromisedToOthers: "Caddy opens its listener anew",
	}.measure(ctx, s, s.rounds(30, 5), raw, whole)
}

//go:build linux

package e2e_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/towpath-cd/towpath/client"
	"github.com/towpath-cd/towpath/internal/balancer/haproxy/haproxytest"
	"github.com/towpath-cd/towpath/internal/fleet"
	"github.com/towpath-cd/towpath/internal/load"
)

// onFleet rolls over hosts with systemd, behind HAProxy.
var onFleet = tree{
	"towpath.yaml": `
pipeline: app
steps:
  - build: app
    run: mkdir dist && cp APP version mode dist/
    artifacts: dist/
  - deploy: live
environments:
  live:
    target:
      hosts:
        addresses: [web1, web2, web3]
        user: deploy
        path: /srv/app
        port: 8000
        keep: 2
        restart: sudo systemctl restart app
        stop: sudo systemctl stop app
    strategy: rolling
    balancer: {haproxy: {socket: SOCKET, backend: shop}}
    health: {http: /healthz, release: /release, interval: 50ms, within: 20s}
    drain: 5s
`,
	"version": "one",
	"mode":    "well",
}

// plant is a site whose application runs on hosts with systemd.
type plant struct {
	*site
	fleet      *fleet.Fleet
	shop       fleet.Shop
	haproxy    *haproxytest.HAProxy
	repository *repository
}

// openPlant has release 1 on every host.
func openPlant(t *testing.T, f *fleet.Fleet) *plant {
	t.Helper()
	p := &plant{site: newSite(t), fleet: f, shop: fleet.Shop{Unit: "app", Path: "/srv/app", Port: 8000}}
	f.Furnish(p.shop)
	p.haproxy = haproxytest.Start(t, 6, "option redispatch 1", "timeout server 10s", "timeout connect 1s", "default-server check inter 1s")
	p.traffic = p.haproxy.Address
	settings, err := os.ReadFile(f.SSHConfig)
	p.must(err)
	p.must(os.Mkdir(filepath.Join(p.root, ".ssh"), 0o700))
	p.must(os.WriteFile(filepath.Join(p.root, ".ssh", "config"), settings, 0o600))
	p.startServer("--no-worker")
	p.startWorker()
	file := strings.ReplaceAll(onFleet["towpath.yaml"], "SOCKET", p.haproxy.Socket)
	p.repository = p.newRepository("app", onFleet.with(tree{"towpath.yaml": file})).offered().watch()
	p.ends(1, "passed")
	p.runs("r1")
	return p
}

// runs waits until every host serves the instances of a release.
func (p *plant) runs(release string) {
	p.Helper()
	p.environment("live", "whole on "+release, func(e client.Environment) bool {
		serving := 0
		for _, i := range e.Instances {
			if fmt.Sprintf("r%d", i.Release) == release && i.Health == "passing" && i.Weight > 0 {
				serving++
			}
		}
		return e.Deployment == nil && serving == len(p.fleet.Hosts)
	})
	p.linksLeadTo(release)
}

// linksLeadTo checks the links of all hosts.
func (p *plant) linksLeadTo(release string) {
	p.Helper()
	for _, h := range p.fleet.Hosts {
		if link := p.shop.Runs(h); !strings.HasPrefix(link, release+"-") {
			p.Errorf("the link of %s leads to %s, not to %s", h.Name, link, release)
		}
	}
}

// begins waits until a host serves a release while its deployment is under way.
func (p *plant) begins(release int, h *fleet.Host) {
	p.Helper()
	p.environment("live", fmt.Sprintf("release %d serves on %s", release, h.Name), func(e client.Environment) bool {
		for _, i := range e.Instances {
			if i.Release == release && p.isOn(i, h) && i.Weight > 0 {
				return true
			}
		}
		return false
	})
}

func (p *plant) isOn(i client.Instance, h *fleet.Host) bool {
	return strings.HasPrefix(i.Address, h.Name+":")
}

func TestAHostLosesItsPowerInARollingUpdateAndComesBackToTheRightRelease(t *testing.T) {
	t.Parallel()
	fleet.Run(t, 3, func(t *testing.T, f *fleet.Fleet) {
		p := openPlant(t, f)
		traffic := p.asks()
		p.repository.push(tree{"version": "two"})
		p.ends(2, "passed")
		p.runs("r2")
		_, err := p.api.Rollback(t.Context(), "app/live", "the cart is empty")
		p.must(err)
		p.environment("live", "back on release 1", isLive(1))
		p.runs("r1")
		p.flawless(traffic)

		traffic = p.asks()
		p.repository.push(tree{"version": "three"})
		p.begins(3, f.Hosts[0])
		f.Hosts[2].PowerCut()
		p.environment("live", "without its third host", func(e client.Environment) bool {
			return slices.ContainsFunc(e.Instances, func(i client.Instance) bool { return p.isOn(i, f.Hosts[2]) && i.Health != "passing" })
		})
		f.Hosts[2].Boot()
		ended := p.run(3, "over", isOver)
		p.runs(map[string]string{"passed": "r3", "failed": "r1"}[ended.State])
		p.flawedAtMost(traffic, keptClients+freshClients)
	})
}

// flawedAtMost ends the load, of which so many may have failed: what was on its way to a host when that went is lost with it.
func (p *plant) flawedAtMost(traffic *load.Load, most int) {
	p.Helper()
	sent := traffic.Stop()
	if sent.Failed > most {
		p.Errorf("%d of %d requests failed, of which the cut excuses %d: %+v", sent.Failed, sent.Requests, most, sent.Failures)
	}
	p.Logf("%d requests, %d of them lost with their host", sent.Requests, sent.Failed)
}

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/towpath-cd/towpath/client"
	"github.com/towpath-cd/towpath/internal/fleet"
)

// shopKey is the key of the environment on a fleet.
const shopKey = "shop/live"

// settleLimit is how long a fleet may take to come to rest after whatever happened to it.
const settleLimit = 3 * time.Minute

// tidyLimit is how long it may take until nothing is left over of a deployment that has ended.
const tidyLimit = time.Minute

// shopPipeline deploys the application of the stories to five hosts. What goes wrong on one of them is told by files there.
const shopPipeline = `pipeline: shop
on: {manual: true, push: false, poll: off}
steps:
  - build: app
    run: mkdir dist && cp %[1]s dist/app && cp version takes mode dist/ && cp ballast dist/ 2>/dev/null || true
    artifacts: dist/
  - deploy: live
environments:
  live:
    target:
      hosts:
        addresses: [web1, web2, web3, web4, web5]
        user: deploy
        path: /srv/shop
        port: 8000
        keep: 2
        requires: test ! -e /etc/shop.closed
        prepare: test ! -e /etc/shop.unprepared
        restart: sudo systemctl restart shop
        stop: sudo systemctl stop shop
        shared: [mode]
    strategy: {rolling: {batch: %[2]d}}
    balancer: {haproxy: {socket: "tcp://%[3]s", backend: shop}}
    health: {http: /healthz, release: /release, interval: 100ms, within: 15s}
    drain: 5s
`

// shopHAProxy is that of docs/balancers.md, which takes orders at a port that can be cut off. Its clocks are short, so that
// what a dead host has of the traffic is over soon.
const shopHAProxy = `global
  stats socket %[1]s mode 600 level admin expose-fd listeners
  stats socket ipv4@%[2]s level admin
defaults
  mode http
  option redispatch 1
  option idle-close-on-response
  timeout connect 1s
  timeout client 1m
  timeout server 10s
frontend web
  bind %[3]s
  default_backend shop
backend shop
  balance roundrobin
  server-template slot 10 127.0.0.1:1 disabled check inter 1s
`

// rollingSite is a fleet behind HAProxy, with a server and a worker that deploy to it.
type rollingSite struct {
	*stage
	*server
	fleet   *fleet.Fleet
	shop    fleet.Shop
	plain   fleet.Shop // of the plain shell loop
	haproxy *trafficHAProxy
	orders  string // where HAProxy takes the keeper's orders
	worker  *process
	source  repository
	version int

	// What a fault is mended by.
	room   func()
	ownKey string
}

// newRollingSite has release 1 on every host.
func newRollingSite(ctx context.Context, s *stage, f *fleet.Fleet) (*rollingSite, error) {
	r := &rollingSite{
		stage: s, fleet: f, shop: fleet.Shop{Unit: "shop", Path: "/srv/shop", Port: 8000},
		plain: fleet.Shop{Unit: "plain", Path: "/srv/plain", Port: 8001},
	}
	f.Furnish(r.shop)
	f.Furnish(r.plain)
	if err := r.openHouse(ctx); err != nil {
		return nil, err
	}
	made, err := s.newRepository(ctx, "shop", r.pipeline(1))
	if err != nil {
		return nil, err
	}
	r.source = made
	for name, text := range map[string]string{"takes": "20ms", "mode": "well"} {
		if err := os.WriteFile(filepath.Join(made.work, name), []byte(text), 0o600); err != nil {
			return nil, err
		}
	}
	if _, err := r.AddProject(ctx, client.NewProject{URL: made.dir, Name: "shop"}); err != nil {
		return nil, err
	}
	s.say("deploying the first release")
	return r, r.update(ctx)
}

// openHouse starts HAProxy, the server and the worker.
func (r *rollingSite) openHouse(ctx context.Context) (err error) {
	if err := r.startShopHAProxy(ctx); err != nil {
		return err
	}
	if r.server, err = r.startServer(ctx, "--no-worker"); err != nil {
		return err
	}
	settings, err := os.ReadFile(r.fleet.SSHConfig)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(r.path("home", ".ssh"), 0o700); err != nil {
		return err
	}
	if err := os.WriteFile(r.path("home", ".ssh", "config"), settings, 0o600); err != nil {
		return err
	}
	token, err := r.NewWorkerToken(ctx)
	if err != nil {
		return err
	}
	if err := r.startKeeper("--token", token.Token); err != nil {
		return err
	}
	return r.awaitWorker(ctx)
}

// startKeeper starts the worker, which keeps the environment.
func (r *rollingSite) startKeeper(args ...string) (err error) {
	r.worker, err = r.start("worker", []string{"HOME=" + r.path("home"), "SSH_AUTH_SOCK="}, append([]string{
		r.towpath, "worker", "--server", r.Address(), "--data", r.path("worker"), "--proxy-data", r.path("proxy"),
	}, args...)...)
	return err
}

func (r *rollingSite) startShopHAProxy(ctx context.Context) error {
	program, err := exec.LookPath("haproxy")
	if err != nil {
		return fmt.Errorf("%w (install Debian's haproxy)", err)
	}
	address, err := freeAddress()
	if err != nil {
		return err
	}
	if r.orders, err = freeAddress(); err != nil {
		return err
	}
	r.haproxy = &trafficHAProxy{socket: r.path("haproxy.sock"), address: address}
	text := fmt.Sprintf(shopHAProxy, r.haproxy.socket, r.orders, address)
	if err := os.WriteFile(r.path("haproxy.cfg"), []byte(text), 0o600); err != nil {
		return err
	}
	if r.haproxy.process, err = r.start("haproxy", nil, program, "-db", "-f", r.path("haproxy.cfg")); err != nil {
		return err
	}
	return until(ctx, "HAProxy", func() (bool, error) {
		said, err := r.haproxy.tell("show info")
		return said != "", err
	})
}

func (r *rollingSite) pipeline(batch int) string {
	return fmt.Sprintf(shopPipeline, r.path("app"), batch, r.orders)
}

// begin commits another version, and starts the run that deploys it.
func (r *rollingSite) begin(ctx context.Context) (client.Run, error) {
	r.version++
	if err := r.source.commit(ctx, "version", r.versionName()); err != nil {
		return client.Run{}, err
	}
	return r.StartRun(ctx, "shop", client.StartRun{})
}

// versionName is what the application calls the version that was committed last.
func (r *rollingSite) versionName() string { return fmt.Sprintf("v%d", r.version) }

// update deploys another version, which has to become live.
func (r *rollingSite) update(ctx context.Context) error {
	run, err := r.begin(ctx)
	if err != nil {
		return err
	}
	_, err = r.finish(ctx, run)
	return err
}

// back goes back to the release before, as a person does.
func (r *rollingSite) back(ctx context.Context) error {
	d, err := r.Rollback(ctx, shopKey, "bench")
	if err != nil {
		return err
	}
	e, err := r.rest(ctx)
	if err == nil && e.Live.Number != d.Release {
		err = fmt.Errorf("release %d is live and not %d", e.Live.Number, d.Release)
	}
	return err
}

// rest waits until nothing is under way, and answers how the environment is.
func (r *rollingSite) rest(ctx context.Context) (e client.Environment, err error) {
	err = untilWithin(ctx, settleLimit, "a deployment to end", func() (bool, error) {
		var err error
		e, err = r.Environment(ctx, shopKey)
		return err == nil && e.Deployment == nil && len(e.Queue) == 0 && e.Live != nil, err
	})
	return e, err
}

// took answers how long the last deployment was under way, in seconds.
func (r *rollingSite) took(ctx context.Context) (float64, error) {
	all, err := r.Deployments(ctx, shopKey)
	if err != nil || len(all) == 0 {
		return 0, errors.Join(err, errors.New("there was no deployment"))
	}
	last := all[0]
	for _, d := range all {
		if d.BeganAt.After(last.BeganAt) {
			last = d
		}
	}
	return last.EndedAt.Sub(last.BeganAt).Seconds(), nil
}

// asked answers what the application of a host says under a path; what went wrong where it says nothing.
func (r *rollingSite) asked(h *fleet.Host, path string) string {
	hurried := http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := hurried.Get("http://" + h.Address + ":" + strconv.Itoa(r.shop.Port) + path)
	if err != nil {
		return err.Error()
	}
	defer answer.Body.Close()
	said, err := io.ReadAll(answer.Body)
	if err != nil {
		return err.Error()
	}
	return string(said)
}

// wrongSoon counts the hosts that are not as they should be once there was time for tidying up: it goes on after a release
// is live.
func (r *rollingSite) wrongSoon(ctx context.Context, release int) (count int) {
	var why []string
	_ = untilWithin(ctx, tidyLimit, "hosts as they should be", func() (bool, error) {
		why = r.wrong(release)
		return len(why) == 0, nil
	})
	for _, reason := range why {
		r.say("%s", reason)
	}
	return len(why)
}

// wrong tells which hosts run another release than the one that should be live, or have a link that leads elsewhere, or
// something left over of what was on its way.
func (r *rollingSite) wrong(release int) (why []string) {
	want := strconv.Itoa(release)
	for _, h := range r.fleet.Hosts {
		said, link := r.asked(h, "/release"), r.shop.Runs(h)
		left, err := h.Try("cd " + r.shop.Path + ` && ls -d current.* env.* releases/*.new .towpath/tmp .towpath/*/*.new 2>/dev/null
			flock -n .towpath/lock true || echo locked
			for r in releases/*; do [ -f ".towpath/instances/${r##*/}" ] || echo "$r is nobody's"; done`)
		if said != want || !strings.HasPrefix(link, "r"+want+"-") || strings.TrimSpace(left) != "" || err != nil {
			why = append(why, fmt.Sprintf("%s serves %q and not %s, its link leads to %s, left over: %q, %v", h.Name, said, want, link, left, err))
		}
	}
	return why
}

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/towpath-cd/towpath/client"
	"github.com/towpath-cd/towpath/internal/fleet"
	"github.com/towpath-cd/towpath/internal/load"
)

// outage is how long a deployment is given to end while something fails. Then that is mended: some wait for it.
const outage = 40 * time.Second

// ballastSize is what is sent slowly to a host whose disk fills up meanwhile, in bytes.
const ballastSize = 4 << 20

// fault is something that goes wrong on one host while a release is deployed.
type fault struct {
	name    string
	isQuick bool
	cuts    bool // what the host has in flight is lost with it

	begin func(*rollingSite, *fleet.Host) error                  // before the deployment
	midst func(context.Context, *rollingSite, *fleet.Host) error // in the midst of it; nil is nothing
	mend  func(*rollingSite, *fleet.Host) error
}

// faults are all, in the order of the operations that they fail.
func faults() []fault {
	return []fault{
		{name: "its check fails", isQuick: true, begin: onHost("touch /etc/shop.closed"), mend: onHost("rm /etc/shop.closed")},
		{name: "its disk fills up in the upload", begin: slowed, midst: filled, mend: roomy},
		{name: "its preparing fails", begin: onHost("touch /etc/shop.unprepared"), mend: onHost("rm /etc/shop.unprepared")},
		{
			name: "its link cannot be changed", isQuick: true,
			begin: onHost("chown root:root /srv/shop && chmod 1777 /srv/shop && chown -h root /srv/shop/current"),
			mend:  onHost("chmod 755 /srv/shop && chown deploy:deploy /srv/shop && chown -h deploy /srv/shop/current"),
		},
		{name: "its application does not start", begin: becomes("crash"), mend: onHost("echo well >/srv/shop/shared/mode")},
		{name: "its application is never healthy", begin: becomes("sick"), mend: onHost("echo well >/srv/shop/shared/mode")},
		{name: "it is cut off", cuts: true, midst: isolated, mend: healed},
		{name: "it loses its power", cuts: true, midst: unplugged, mend: booted},
		{name: "HAProxy's socket does not answer", midst: muted, mend: unmuted},
		{name: "its key is another", begin: otherKey, mend: ownKey},
		{
			name:  "its clock is three hours ahead",
			begin: onHost(`printf '#!/bin/sh\nexec /bin/date -d "+3 hours" "$@"\n' >/usr/local/bin/date && chmod 755 /usr/local/bin/date`),
			mend:  onHost("rm /usr/local/bin/date"),
		},
	}
}

// onHost runs a script on the host.
func onHost(script string) func(*rollingSite, *fleet.Host) error {
	return func(_ *rollingSite, h *fleet.Host) error {
		_, err := h.Try(script)
		return err
	}
}

// becomes lets the next version be in a mode on the host.
func becomes(mode string) func(*rollingSite, *fleet.Host) error {
	return func(r *rollingSite, h *fleet.Host) error {
		_, err := h.Try(fmt.Sprintf("echo '%s v%d' >/srv/shop/shared/mode", mode, r.version+1))
		return err
	}
}

func isolated(_ context.Context, _ *rollingSite, h *fleet.Host) error  { h.Isolate(); return nil }
func unplugged(_ context.Context, _ *rollingSite, h *fleet.Host) error { h.PowerCut(); return nil }
func healed(r *rollingSite, _ *fleet.Host) error                       { r.fleet.Heal(); return nil }
func booted(_ *rollingSite, h *fleet.Host) error                       { h.Boot(); return nil }

// slowed has something large to be sent, which takes a while to one host.
func slowed(r *rollingSite, h *fleet.Host) error {
	h.SlowDown(8_000_000)
	return os.WriteFile(filepath.Join(r.source.work, "ballast"), []byte(strings.Repeat(r.versionName()+" ", ballastSize/4)), 0o600)
}

// filled leaves no room on the host once files come in.
func filled(ctx context.Context, r *rollingSite, h *fleet.Host) error {
	err := until(ctx, "the upload", func() (bool, error) {
		_, err := h.Try("test -e /srv/shop/.towpath/tmp/files")
		return err == nil, err
	})
	if err == nil {
		r.room = h.FillDisk()
	}
	return err
}

func roomy(r *rollingSite, h *fleet.Host) error {
	if r.room != nil {
		r.room()
	}
	h.SpeedUp()
	return os.Remove(filepath.Join(r.source.work, "ballast"))
}

// muted drops what is sent to HAProxy's socket.
func muted(_ context.Context, r *rollingSite, _ *fleet.Host) error {
	_, port, _ := strings.Cut(r.orders, ":")
	return r.filter(fmt.Sprintf("table inet mute { chain input { type filter hook input priority 0; tcp dport %s drop; }; }", port))
}

func unmuted(r *rollingSite, _ *fleet.Host) error { return r.filter("delete table inet mute") }

// filter gives nft a script.
func (r *rollingSite) filter(script string) error {
	command := exec.Command("nft", "-f", "-")
	command.Stdin = strings.NewReader(script)
	return spoken(command)
}

const hostKeyPath = "/etc/ssh/ssh_host_ed25519_key"

// otherKey gives the host another key, and has the keeper connect anew.
func otherKey(r *rollingSite, h *fleet.Host) error {
	r.ownKey = h.Read(hostKeyPath)
	h.ChangeHostKey()
	return r.reconnect()
}

func ownKey(r *rollingSite, h *fleet.Host) error {
	h.Write(hostKeyPath, r.ownKey, 0o600)
	_, err := h.Try("systemctl restart ssh.service")
	return err
}

func (r *rollingSite) reconnect() error {
	if err := r.worker.end(); err != nil {
		return err
	}
	return r.startKeeper()
}

// failed is what a deployment came to in which something went wrong.
type failed struct {
	fault
	state     string // of the deployment
	sent      load.Report
	lost      int // of the requests that failed, those that were with the host that was gone
	wrong     int // hosts, in the end
	isWaiting bool
}

// fail deploys while something goes wrong on a host, mends that, and looks at what came of it.
func (r *rollingSite) fail(ctx context.Context, f fault, h *fleet.Host) (all failed, err error) {
	all = failed{fault: f}
	l := r.startLoad(ctx, connections/2)
	defer l.Stop()
	if f.begin != nil {
		if err := f.begin(r, h); err != nil {
			return all, err
		}
	}
	before, err := r.rest(ctx)
	if err != nil {
		return all, err
	}
	deployment, err := r.beginDeployment(ctx)
	if err == nil && f.midst != nil {
		err = f.midst(ctx, r, h)
	}
	if err != nil {
		return all, err
	}
	all.isWaiting = untilWithin(ctx, outage, "the end", func() (bool, error) {
		d, err := r.deployment(ctx, deployment.ID)
		return err == nil && d.IsFinal(), err
	}) != nil
	if err := f.mend(r, h); err != nil {
		return all, err
	}
	e, err := r.rest(ctx)
	if err != nil {
		return all, err
	}
	ended, err := r.deployment(ctx, deployment.ID)
	if err != nil {
		return all, err
	}
	all.state = ended.State
	right := before.Live.Number
	if ended.State == "live" {
		right = deployment.Release
	}
	if e.Live.Number != right {
		return all, fmt.Errorf("release %d is recorded as live, and not %d", e.Live.Number, right)
	}
	all.wrong = r.wrongSoon(ctx, right)
	all.judge(l.Stop())
	r.say("%s: %s; %s", f.name, ended.State, ended.Outcome)
	return all, nil
}

// judge counts apart what HAProxy had sent to a host that never answered.
func (all *failed) judge(sent load.Report) {
	all.sent = sent
	for _, f := range sent.Failures {
		if all.cuts && strings.Contains(f.Reason, "504") {
			all.lost++
		}
	}
}

// beginDeployment starts a run with another version, and answers its deployment once that has begun.
func (r *rollingSite) beginDeployment(ctx context.Context) (d client.Deployment, err error) {
	if _, err := r.begin(ctx); err != nil {
		return d, err
	}
	err = untilWithin(ctx, settleLimit, "a deployment", func() (bool, error) {
		e, err := r.Environment(ctx, shopKey)
		if err != nil || e.Deployment == nil {
			return false, err
		}
		d = *e.Deployment
		return true, nil
	})
	return d, err
}

func (r *rollingSite) deployment(ctx context.Context, id string) (client.Deployment, error) {
	all, err := r.Deployments(ctx, shopKey)
	if err != nil {
		return client.Deployment{}, err
	}
	for _, d := range all {
		if d.ID == id {
			return d, nil
		}
	}
	return client.Deployment{}, errors.New("the deployment is not known")
}

// failing has everything go wrong in turn, each time on another host.
func (r *rollingSite) failing(ctx context.Context) (figures []Figure, err error) {
	if err := os.WriteFile(filepath.Join(r.source.work, "towpath.yaml"), []byte(r.pipeline(1)), 0o600); err != nil {
		return nil, err
	}
	for n, f := range faults() {
		if r.quick && !f.isQuick {
			continue
		}
		all, err := r.fail(ctx, f, r.fleet.Hosts[(n+2)%len(r.fleet.Hosts)])
		if err != nil {
			return figures, fmt.Errorf("%s: %w", f.name, err)
		}
		figures = append(figures, all.figures()...)
	}
	return figures, nil
}

func (all failed) figures() []Figure {
	when := ": " + all.name + ", and the deployment ended " + all.state
	if all.isWaiting {
		when += " once that was mended"
	}
	figures := []Figure{
		{Name: "failed" + when, Ours: float64(all.sent.Failed - all.lost), Unit: "requests", Goal: AtMost(0)},
		{Name: "of so many: " + all.name, Ours: float64(all.sent.Requests), Unit: "requests"},
		{Name: "hosts on a wrong release afterwards: " + all.name, Ours: float64(all.wrong), Unit: "hosts", Goal: AtMost(0)},
	}
	if all.cuts {
		figures = append(figures, Figure{Name: "lost on their way to a host that was gone: " + all.name, Ours: float64(all.lost), Unit: "requests", Goal: AtMost(connections / 2)})
	}
	return figures
}

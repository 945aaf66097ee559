package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/towpath-cd/towpath/internal/fleet"
	"github.com/towpath-cd/towpath/internal/load"
)

// measureRolling updates five hosts under load, first as it should be, and then with something failing on one of them.
func measureRolling(ctx context.Context, s *stage) ([]Figure, error) {
	return onFleet(ctx, s, "rolling")
}

func rollOver(ctx context.Context, s *stage, f *fleet.Fleet) ([]Figure, error) {
	r, err := newRollingSite(ctx, s, f)
	if err != nil {
		return nil, err
	}
	var figures []Figure
	batches := []int{1, 2}
	if s.quick {
		batches = batches[1:] // the quicker one
	}
	for _, batch := range batches {
		var all rolled
		err := r.rolls(ctx, batch, &all)
		figures = append(figures, all.figures(batch)...)
		if err != nil {
			return figures, err
		}
	}
	faulty, err := r.failing(ctx)
	return append(figures, faulty...), err
}

// rolled is what updates and goings back with one batch came to.
type rolled struct {
	update, back, plain []float64 // s
	sent                load.Report
	wrong               int // hosts, after each
	failure             error
}

// rolls updates and goes back again and again under load, in turn with a shell loop on the same hosts.
func (r *rollingSite) rolls(ctx context.Context, batch int, all *rolled) error {
	if err := os.WriteFile(filepath.Join(r.source.work, "towpath.yaml"), []byte(r.pipeline(batch)), 0o600); err != nil {
		return err // it goes with the next version
	}
	l := r.startLoad(ctx, connections)
	defer l.Stop()
	for round := range r.rounds(8, 1) {
		r.say("rolling, batch %d: round %d", batch, round+1)
		for _, step := range []struct {
			do   func(context.Context) error
			took *[]float64
		}{{r.update, &all.update}, {r.back, &all.back}} {
			if err := r.step(ctx, all, step.do, step.took); err != nil {
				return err
			}
		}
		began := time.Now()
		if err := r.byShell(ctx); err != nil {
			return fmt.Errorf("by a shell loop: %w", err)
		}
		all.plain = append(all.plain, time.Since(began).Seconds())
	}
	all.count(l.Stop())
	return all.failure
}

// startLoad asks on so many connections without a pause, and never again.
func (r *rollingSite) startLoad(ctx context.Context, kept int) *load.Load {
	return load.Start(ctx, load.Options{
		Address: r.haproxy.address, Targets: []load.Target{{Path: "/", Digest: true}}, Kept: kept, Timeout: patience, Label: releaseHeader,
	})
}

// step does something, and looks at what every host serves then.
func (r *rollingSite) step(ctx context.Context, all *rolled, do func(context.Context) error, took *[]float64) error {
	if err := do(ctx); err != nil {
		return err
	}
	e, err := r.rest(ctx)
	if err != nil {
		return err
	}
	all.wrong += r.wrongSoon(ctx, e.Live.Number)
	seconds, err := r.took(ctx)
	*took = append(*took, seconds)
	return err
}

func (all *rolled) count(sent load.Report) {
	all.sent.Requests, all.sent.Failed = all.sent.Requests+sent.Requests, all.sent.Failed+sent.Failed
	for _, f := range sent.Failures {
		all.failure = fmt.Errorf("a request failed at %s: %s", f.At.Format(time.TimeOnly), f.Reason)
	}
}

// byShell does the bare work of a rolling update, where there is no traffic: one host after the other by tar, ssh and systemctl.
func (r *rollingSite) byShell(ctx context.Context) error {
	script := fmt.Sprintf(`set -e; mkdir -p release; cp %[1]s release/app; cp shop/version shop/takes shop/mode release/
for host in %[2]s; do
  tar -C release -cf - . | ssh -F %[3]s "$host" 'set -e; cd %[4]s; r=releases/'%[5]d'; rm -rf $r; mkdir -p $r; tar -C $r -xf -
    ln -sfn $r next; mv -fT next current; sudo systemctl restart plain'
done`, r.path("app"), strings.Join(r.names(), " "), r.fleet.SSHConfig, r.plain.Path, r.version)
	command := exec.CommandContext(ctx, "sh", "-c", script)
	command.Dir = r.stage.dir
	return spoken(command)
}

func (r *rollingSite) names() (names []string) {
	for _, h := range r.fleet.Hosts {
		names = append(names, h.Name)
	}
	return names
}

func (all *rolled) figures(batch int) []Figure {
	with := fmt.Sprintf(", five hosts, batch %d", batch)
	const plain = "tar, ssh and systemctl in a shell loop"
	return []Figure{
		{Name: "rolling updates and goings back" + with, Ours: float64(len(all.update) + len(all.back)), Unit: "deployments"},
		{Name: "failed meanwhile" + with, Ours: float64(all.sent.Failed), Unit: "requests", Goal: AtMost(0)},
		{Name: "of so many" + with, Ours: float64(all.sent.Requests), Unit: "requests"},
		{Name: "hosts on a wrong release afterwards" + with, Ours: float64(all.wrong), Unit: "hosts", Goal: AtMost(0)},
		{Name: "update, with draining and probing" + with, Ours: median(all.update), Unit: "s", Reference: plain, Limit: median(all.plain)},
		{Name: "going back" + with, Ours: median(all.back), Unit: "s", Reference: plain, Limit: median(all.plain)},
	}
}

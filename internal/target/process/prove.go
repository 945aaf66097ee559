package process

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/deploy"
	"github.com/towpath-cd/towpath/internal/probe"
	"github.com/towpath-cd/towpath/internal/supervise"
)

// tailLines is how many lines of an instance's log are shown where it failed.
const tailLines = 20

// probe waits until every instance has passed its probe often enough.
func (d *Driver) probe(ctx context.Context, o deploy.Probe) (deploy.Receipt, error) {
	within, cancel := context.WithTimeoutCause(ctx, cmp.Or(o.Within, time.Minute), errNotInTime)
	defer cancel()
	waits, waiting := errgroup.WithContext(within)
	began := time.Now()
	for _, id := range o.Instances {
		waits.Go(func() error { return d.prove(waiting, id, o.Within) })
	}
	if err := waits.Wait(); err != nil {
		return deploy.Receipt{}, err
	}
	return deploy.Receipt{Detail: "healthy after " + time.Since(began).Round(time.Millisecond).String()}, nil
}

// errNotInTime ends the tries at instances that do not pass.
var errNotInTime = fmt.Errorf("not healthy in time")

// prove tries often until the first pass, so that a quick start is seen quickly, and then as often as is defined.
func (d *Driver) prove(ctx context.Context, id string, within time.Duration) error {
	for pace := probe.FirstPace; ; pace = min(2*pace, d.probers.Interval()) {
		entry, err := d.entry(id)
		if err != nil {
			return &deploy.Permanent{Err: fmt.Errorf("probe %s: %w", id, err)}
		}
		d.mends.look(entry) // its launch may have failed, and nobody else looks while this waits
		p := d.probers.Of(subject(entry))
		if entry.Alive {
			tried, _ := p.Try()
			select {
			case <-tried:
			case <-ctx.Done():
			}
		}
		if p.Verdict().Health == towpath.HealthPassing && entry.Alive {
			return nil
		}
		if p.HasPassed() {
			pace = d.probers.Interval()
		}
		if !pause(ctx, pace) {
			return d.unproved(ctx, entry, p.Verdict(), within)
		}
	}
}

func (d *Driver) unproved(ctx context.Context, e supervise.Entry, said probe.Verdict, within time.Duration) error {
	if cause := context.Cause(ctx); cause != errNotInTime { //nolint:errorlint // it is never wrapped
		return &deploy.UnknownOutcome{Err: fmt.Errorf("probe %s: %w", e.Spec.Instance, cause)}
	}
	problem := problemOf(e)
	if problem == "" {
		problem = said.Problem
	}
	log, _ := supervise.Tail(e.Dir, tailLines) // the reason is told without it as well
	return &deploy.Permanent{
		Err: fmt.Errorf("%s of release %d did not pass its probe within %s: %s",
			e.Spec.Instance, e.Spec.Release, within, problem),
		Log: log,
	}
}

func (d *Driver) entry(id string) (supervise.Entry, error) {
	entries, err := supervise.List(d.home.run)
	if err != nil {
		return supervise.Entry{}, err
	}
	for _, e := range entries {
		if e.Spec.Instance == id {
			return e, nil
		}
	}
	return supervise.Entry{}, errNotStarted
}

// errNotStarted means that an instance to be probed has no supervisor's folder.
var errNotStarted = errors.New("it was not started")

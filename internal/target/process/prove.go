package process

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
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
		others, err := d.entriesBeside(id)
		if err != nil {
			return &deploy.Retryable{Err: fmt.Errorf("probe %s: %w", id, err)}
		}
		for _, e := range others {
			d.mends.look(e)
		}
		if e, is := desperate(others); is {
			return givenUp(e)
		}
		p := d.probers.Of(subject(entry))
		if entry.Alive {
			tried, _ := p.Try()
			select {
			case <-tried:
			case <-ctx.Done():
			}
		}
		if p.Verdict().Health == towpath.HealthPassing && entry.Alive && areSteady(others) {
			return nil
		}
		if p.HasPassed() {
			pace = d.probers.Interval()
		}
		if !pause(ctx, pace) {
			return d.unproved(ctx, append([]supervise.Entry{entry}, others...), p.Verdict(), within)
		}
	}
}

// unproved tells why an instance was not proved in time, with what that of its processes said last which does not run.
func (d *Driver) unproved(ctx context.Context, all []supervise.Entry, said probe.Verdict, within time.Duration) error {
	e, problem := all[0], problemOf(all[0])
	if cause := context.Cause(ctx); cause != errNotInTime { //nolint:errorlint // it is never wrapped
		return &deploy.UnknownOutcome{Err: fmt.Errorf("probe %s: %w", e.Spec.Instance, cause)}
	}
	if n := slices.IndexFunc(all, func(e supervise.Entry) bool { return !e.Alive }); problem == "" && n > 0 {
		e, problem = all[n], problemBeside(all[1:])
	}
	problem = cmp.Or(problem, said.Problem, "not all of its processes run")
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

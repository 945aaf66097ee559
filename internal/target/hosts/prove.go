package hosts

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
)

// errNotInTime ends the tries at instances that do not pass.
var errNotInTime = errors.New("not healthy in time")

// probe waits until every instance has passed its probe often enough.
func (d *Driver) probe(ctx context.Context, o deploy.Order, operation deploy.Probe) (deploy.Receipt, error) {
	within, cancel := context.WithTimeoutCause(ctx, cmp.Or(operation.Within, time.Minute), errNotInTime)
	defer cancel()
	began := time.Now()
	waits, waiting := errgroup.WithContext(within)
	for _, id := range operation.Instances {
		waits.Go(func() error { return d.prove(waiting, o, id, operation.Within) })
	}
	if err := waits.Wait(); err != nil {
		return deploy.Receipt{}, err
	}
	return deploy.Receipt{Detail: "healthy after " + time.Since(began).Round(time.Millisecond).String()}, nil
}

// prove tries often until the first pass, so that a quick start is seen quickly, and then as often as is defined.
func (d *Driver) prove(ctx context.Context, o deploy.Order, id string, within time.Duration) error {
	seats, err := d.seats(o, []string{id}, nil)
	if err != nil {
		return err
	}
	for m, on := range seats {
		p, err := d.prober(ctx, m, on[0])
		if err != nil {
			return err
		}
		proof := proof{driver: d, machine: m, id: id}
		for pace := probe.FirstPace; ; pace = min(2*pace, d.probers.Interval()) {
			tried, _ := p.Try()
			select {
			case <-tried:
			case <-ctx.Done():
			}
			if err := proof.look(ctx); err != nil {
				return err
			}
			if p.Verdict().Health == towpath.HealthPassing && proof.isSteady {
				break
			}
			if p.HasPassed() {
				pace = d.probers.Interval()
			}
			if !pause(ctx, pace) {
				return d.unproved(ctx, o, id, cmp.Or(proof.problem, p.Verdict().Problem, "not all of its processes run"), within)
			}
		}
	}
	return nil
}

// proof is what an instance has beside its web process, while that is proved.
type proof struct {
	driver   *Driver
	machine  *machine
	id       string
	isSteady bool   // all of it runs
	problem  string // why not
}

// look asks the host, where there is anything to ask for. One that does not answer is asked again.
func (p *proof) look(ctx context.Context) error {
	p.isSteady, p.problem = true, ""
	if len(p.driver.options.Definition.Beside()) == 0 {
		return nil
	}
	said, err := p.machine.ask(ctx, scriptLook, variables{}, nil)
	if err != nil {
		p.isSteady, p.problem = false, err.Error()
		return nil
	}
	t := newTable(said)
	p.driver.mends.look(p.machine, t) // its launch may have failed, and nobody else looks while this waits
	others := t.besides(p.id)
	if one, is := desperate(others); is {
		return givenUp(one)
	}
	p.isSteady, p.problem = areSteady(others), t.problemBeside(others)
	return nil
}

// prober answers that of an instance which runs.
func (d *Driver) prober(ctx context.Context, m *machine, s seat) (*probe.Prober, error) {
	said, err := m.ask(ctx, scriptLook, variables{}, nil)
	if err != nil {
		return nil, err
	}
	t := newTable(said)
	for _, p := range t.instances {
		if p.id != s.id {
			continue
		}
		state, problem, process := t.stateOf(p)
		if state != towpath.InstanceRunning {
			return nil, &deploy.Permanent{Err: fmt.Errorf("probe %s: it is %s on %s %s", s.id, state, m.name, problem)}
		}
		release, _ := towpath.ParseInstanceID(s.id)
		return d.probers.Of(probe.Subject{Instance: s.id, Release: release, Address: s.slot.Address, Process: process}), nil
	}
	return nil, &deploy.Permanent{Err: fmt.Errorf("probe %s: it is not placed on %s", s.id, m.name)}
}

func (d *Driver) unproved(ctx context.Context, o deploy.Order, id, problem string, within time.Duration) error {
	if cause := context.Cause(ctx); cause != errNotInTime { //nolint:errorlint // it is never wrapped
		return &deploy.UnknownOutcome{Err: fmt.Errorf("probe %s: %w", id, cause)}
	}
	release, _ := towpath.ParseInstanceID(id)
	reading, cancel := context.WithTimeout(context.WithoutCancel(ctx), lookPatience)
	defer cancel()
	log, _ := d.tail(reading, o, id) // the reason is told without it as well
	return &deploy.Permanent{
		Err: fmt.Errorf("%s of release %d did not pass its probe within %s: %s", id, release, within, problem), Log: log,
	}
}

// pause says whether ctx was still going on at the end.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

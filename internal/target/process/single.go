package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/deploy"
	"github.com/towpath-cd/towpath/internal/supervise"
)

// singlePatience is how long a single process may take to show that it runs.
const singlePatience = 20 * time.Second

func (h home) singleOf(id, process string) string {
	return filepath.Join(h.single, folderName(id)+"@"+process)
}

// singles tells of single processes that run, or may. What was told to stop has ended certainly once its supervisor says so.
func (d *Driver) singles() (seen []towpath.Single, err error) {
	entries, err := supervise.List(d.home.single)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		d.mends.look(e)
		if stateOf(e) == towpath.InstanceStopped {
			continue
		}
		s := towpath.Single{Process: e.Spec.Process, Instance: e.Spec.Instance, State: stateOf(e), Since: e.State.Since}
		if !e.Alive {
			s.Problem = problemOf(e)
			s.Log, _ = supervise.Tail(e.Dir, lastLines) // that it does not run is told without it as well
		}
		seen = append(seen, s)
	}
	return seen, nil
}

// startSingle starts a single process beside an instance, and sees that it runs. It is refused while another of its name may
// run here, whoever ordered that.
func (d *Driver) startSingle(ctx context.Context, o deploy.Order, operation deploy.StartSingle) (deploy.Receipt, error) {
	d.ordering.Lock()
	defer d.ordering.Unlock()
	all := d.options.Definition.Singles()
	n := slices.IndexFunc(all, func(p towpath.ProcessDefinition) bool { return p.Name == operation.Process })
	if n < 0 {
		return deploy.Receipt{}, &deploy.Permanent{Err: fmt.Errorf("%s: the definition has no single process of that name", operation)}
	}
	isOther := func(s supervise.Spec) bool { return s.Process == operation.Process && s.Instance != operation.Instance }
	if err := d.removeSingles(ctx, o.Epoch, isOther); err != nil {
		return deploy.Receipt{}, err
	}
	folder := d.home.singleOf(operation.Instance, operation.Process)
	err := d.under(ctx, o.Epoch, func() error {
		if err := d.seeNone(isOther); err != nil {
			return err
		}
		spec := d.specBeside(o.Release, operation.Instance, all[n])
		if e, err := d.entryIn(folder); err == nil {
			spec = e.Spec // it keeps what it was started with
		}
		return d.launch(ctx, o.Epoch, folder, spec)
	})
	if err != nil {
		return deploy.Receipt{}, err
	}
	return deploy.Receipt{}, d.seeSteady(ctx, folder)
}

// seeNone refuses while a single process may run that must not.
func (d *Driver) seeNone(isOther func(supervise.Spec) bool) error {
	entries, err := supervise.List(d.home.single)
	if err != nil {
		return &deploy.Retryable{Err: err}
	}
	for _, e := range entries {
		if isOther(e.Spec) && stateOf(e) != towpath.InstanceStopped {
			return &deploy.Retryable{Err: fmt.Errorf("%s runs beside %s still", e.Spec.Process, e.Spec.Instance)}
		}
	}
	return nil
}

// seeSteady waits until a process has run for a moment. One that ends again and again fails, with what it said last.
func (d *Driver) seeSteady(ctx context.Context, folder string) error {
	ctx, cancel := context.WithTimeout(ctx, singlePatience)
	defer cancel()
	for {
		e, err := d.entryIn(folder)
		if err != nil {
			return &deploy.UnknownOutcome{Err: err}
		}
		d.mends.look(e)
		if isSteady(e) {
			return nil
		}
		if _, is := desperate([]supervise.Entry{e}); is {
			return givenUp(e)
		}
		if !pause(ctx, lockPace) {
			return &deploy.UnknownOutcome{Err: fmt.Errorf("%s of %s: %w", e.Spec.Process, e.Spec.Instance, context.Cause(ctx))}
		}
	}
}

// stopSingle ends a single process with all that it has started.
func (d *Driver) stopSingle(ctx context.Context, epoch towpath.Epoch, o deploy.StopSingle) (deploy.Receipt, error) {
	d.ordering.Lock()
	defer d.ordering.Unlock()
	folder := d.home.singleOf(o.Instance, o.Process)
	if _, err := os.Stat(folder); errors.Is(err, os.ErrNotExist) {
		return deploy.Receipt{}, nil
	}
	told, err := d.stopIn(ctx, epoch, folder)
	return deploy.Receipt{Detail: told}, err
}

// removeSingles deletes what is known of single processes that have ended. One that runs still is left alone.
func (d *Driver) removeSingles(ctx context.Context, epoch towpath.Epoch, which func(supervise.Spec) bool) error {
	entries, err := supervise.List(d.home.single)
	if err != nil {
		return &deploy.Retryable{Err: err}
	}
	for _, e := range entries {
		if !which(e.Spec) || stateOf(e) != towpath.InstanceStopped {
			continue
		}
		if err := explain(d.supervisor.Remove(ctx, e.Dir, supervise.Epoch(epoch))); err != nil {
			return err
		}
	}
	return nil
}

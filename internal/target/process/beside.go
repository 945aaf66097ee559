package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/deploy"
	"github.com/towpath-cd/towpath/internal/supervise"
)

// What an instance has beside its web process is supervised as that is, in folders of its own. It is started before the web
// process and ordered to stop before it: so an instance whose web process runs was started whole, and one whose web process
// is ordered to stop was ordered to stop whole, wherever its keeper was killed.

const (
	// steadyAfter is how long a process has to run before it counts as running: one that ends in its first moments does not.
	steadyAfter = time.Second
	// hopeless is after how many ends in a row a process that is proved is given up.
	hopeless = 3
	// lastLines is how many lines are told of a process that does not run.
	lastLines = 5
)

func (h home) besideOf(id, process string) string {
	return filepath.Join(h.beside, folderName(id)+"@"+process)
}

// entriesBeside are what runs, or ran, beside an instance's web process.
func (d *Driver) entriesBeside(id string) ([]supervise.Entry, error) {
	entries, err := supervise.List(d.home.beside)
	return slices.DeleteFunc(entries, func(e supervise.Entry) bool { return e.Spec.Instance != id }), err
}

// startBeside launches what belongs beside an instance. What was started before keeps what it was started with; what the
// definition does not have any more is not started again.
func (d *Driver) startBeside(ctx context.Context, o deploy.Order, id string) error {
	known, err := d.entriesBeside(id)
	if err != nil {
		return &deploy.Retryable{Err: err}
	}
	launches, ctx := errgroup.WithContext(ctx)
	for _, p := range d.options.Definition.Beside() {
		spec := d.specBeside(o.Release, id, p)
		if n := slices.IndexFunc(known, func(e supervise.Entry) bool { return e.Spec.Process == p.Name }); n >= 0 {
			spec = known[n].Spec
		}
		launches.Go(func() error {
			return d.launch(ctx, o.Epoch, d.home.besideOf(id, p.Name), spec)
		})
	}
	return launches.Wait()
}

func (d *Driver) specBeside(r towpath.Release, id string, p towpath.ProcessDefinition) supervise.Spec {
	return supervise.Spec{
		Instance: id, Process: p.Name, Release: r.Number, Shell: p.Command, Dir: d.home.filesOf(id), Env: d.environment(r, id),
		Stop: supervise.Stop{Signal: p.Stop.Signal, Within: p.Stop.Within},
	}
}

// dismissBeside orders what is beside an instance to stop, and does not wait.
func (d *Driver) dismissBeside(ctx context.Context, epoch towpath.Epoch, id string) ([]supervise.Entry, error) {
	entries, err := d.entriesBeside(id)
	if err != nil {
		return nil, &deploy.Retryable{Err: err}
	}
	for _, e := range entries {
		if err := explain(d.supervisor.Dismiss(ctx, e.Dir, supervise.Epoch(epoch))); err != nil {
			return nil, err
		}
	}
	return entries, nil
}

// removeBeside ends what is left beside an instance, and deletes what is known of it.
func (d *Driver) removeBeside(ctx context.Context, epoch towpath.Epoch, id string) error {
	entries, err := d.entriesBeside(id)
	if err != nil {
		return &deploy.Retryable{Err: err}
	}
	removals := new(errgroup.Group)
	for _, e := range entries {
		removals.Go(func() error {
			if _, err := d.supervisor.Stop(ctx, e.Dir, supervise.Epoch(epoch)); err != nil {
				return explain(err)
			}
			return explain(d.supervisor.Remove(ctx, e.Dir, supervise.Epoch(epoch)))
		})
	}
	return removals.Wait()
}

// beside tells of the processes beside an instance, by name.
func beside(entries []supervise.Entry) []towpath.Process {
	var processes []towpath.Process
	for _, e := range entries {
		p := towpath.Process{Name: e.Spec.Process, State: stateOf(e), Since: e.State.Since}
		if p.State != towpath.InstanceStopped && !e.Alive {
			p.Problem = problemOf(e)
			p.Log, _ = supervise.Tail(e.Dir, lastLines) // that it does not run is told without it as well
		}
		processes = append(processes, p)
	}
	return processes
}

// problemBeside says which process does not run that should; empty where all do.
func problemBeside(entries []supervise.Entry) string {
	for _, e := range entries {
		if problem := problemOf(e); problem != "" {
			return e.Spec.Process + ": " + problem
		}
	}
	return ""
}

// isSteady says that a process runs, and not just for its first moments.
func isSteady(e supervise.Entry) bool {
	return e.Alive && time.Since(e.State.ChildSince) >= steadyAfter
}

func areSteady(entries []supervise.Entry) bool {
	return !slices.ContainsFunc(entries, func(e supervise.Entry) bool { return !isSteady(e) })
}

// isEnding says that something beside an instance was ordered to stop, and may run still.
func isEnding(entries []supervise.Entry) bool {
	return slices.ContainsFunc(entries, func(e supervise.Entry) bool {
		return e.Want != supervise.WantRunning && e.State.Status != supervise.StatusStopped
	})
}

// desperate answers the process that ends again and again.
func desperate(entries []supervise.Entry) (supervise.Entry, bool) {
	n := slices.IndexFunc(entries, func(e supervise.Entry) bool { return e.State.Failures >= hopeless && !isSteady(e) })
	if n < 0 {
		return supervise.Entry{}, false
	}
	return entries[n], true
}

// givenUp is the error of a process that ends again and again.
func givenUp(e supervise.Entry) error {
	log, _ := supervise.Tail(e.Dir, tailLines) // the reason is told without it as well
	reason := problemOf(e)
	if e.State.LastExit != nil {
		reason = e.State.LastExit.String()
	}
	return &deploy.Permanent{
		Err: fmt.Errorf("%s of %s of release %d ended %d times in a row: %s", e.Spec.Process, e.Spec.Instance, e.Spec.Release, e.State.Failures, reason),
		Log: log,
	}
}

// killed says of a process that has been stopped whether it had to be made to.
func killed(s supervise.Spec, state supervise.State) string {
	if state.LastExit == nil || !state.LastExit.Killed {
		return ""
	}
	name := towpath.WebProcess
	if s.Process != "" {
		name = s.Process
	}
	return fmt.Sprintf("%s of %s did not end within %s and was killed", name, s.Instance, s.Stop.Within)
}

// folders are those that supervisors have in an environment.
func (h home) folders() []string { return []string{h.run, h.beside, h.single} }

// everyEntry answers what is supervised, or was.
func (d *Driver) everyEntry() (all []supervise.Entry, err error) {
	for _, folder := range d.home.folders() {
		entries, err := supervise.List(folder)
		if err != nil {
			return nil, err
		}
		all = append(all, entries...)
	}
	return all, nil
}

// entryIn reads what is supervised in a folder.
func (d *Driver) entryIn(folder string) (supervise.Entry, error) {
	entries, err := supervise.List(filepath.Dir(folder))
	n := slices.IndexFunc(entries, func(e supervise.Entry) bool { return e.Dir == folder })
	if err != nil || n < 0 {
		return supervise.Entry{}, errors.Join(err, os.ErrNotExist)
	}
	return entries[n], nil
}

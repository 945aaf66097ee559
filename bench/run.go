package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/towpath-cd/towpath/client"
)

// steps is how many steps a run has.
const steps = 3

// pipelineText runs by hand only, so that nothing runs that was not measured. A step writes down when it began: with
// bash without a process of its own.
const pipelineText = `pipeline: %[1]s
on: {manual: true, push: false, poll: off}
steps:
  - test: one
    run: '%[2]s'
  - test: two
    run: '%[2]s'
  - test: three
    run: '%[2]s'
`

// lap is what one run took.
type lap struct {
	first float64   // ms from the trigger to the first step's process
	whole float64   // ms from the trigger to the known end
	gaps  []float64 // ms from one step's process to the next one's
}

// laps are those of one side.
type laps struct {
	first, whole, gaps []float64
	failed             int
}

func (l *laps) add(one lap, err error) {
	if err != nil {
		l.failed++
		return
	}
	l.first, l.whole, l.gaps = append(l.first, one.first), append(l.whole, one.whole), append(l.gaps, one.gaps...)
}

// runs is the benchmark's two sides: a server, and a shell script.
type runs struct {
	*stage
	*server
	repository repository
	shell      *shellScript
	stamps     *stamps
	failure    error // the last one, to be told
}

// measureRun runs the same pipeline on a server and by a shell script, one after the other.
func measureRun(ctx context.Context, s *stage) ([]Figure, error) {
	r, err := newRuns(ctx, s)
	if err != nil {
		return nil, err
	}
	all, err := r.alternate(ctx)
	if err != nil {
		return nil, err
	}
	figures := all.figures()
	failed := all.failed()
	for _, atOnce := range []int{2, 8} {
		more, err := r.throughput(ctx, atOnce)
		if err != nil {
			return figures, err
		}
		failed += more.failed
		figures = append(figures, more.figures()...)
	}
	figures = append(figures, Figure{Name: "runs that failed, of either side", Ours: float64(failed), Unit: "runs", Goal: AtMost(0)})
	if r.failure != nil {
		err = fmt.Errorf("the last run that failed: %w", r.failure)
	}
	return figures, err
}

func newRuns(ctx context.Context, s *stage) (*runs, error) {
	shell, err := newShellScript(s)
	if err != nil {
		return nil, err
	}
	r := &runs{stage: s, shell: shell, stamps: shell.stamps}
	if r.repository, err = s.newRepository(ctx, "warm", fmt.Sprintf(pipelineText, "warm", shell.step)); err != nil {
		return nil, err
	}
	if r.server, err = s.startServer(ctx, "--slots", "8"); err != nil {
		return nil, err
	}
	if err := r.awaitWorker(ctx); err != nil {
		return nil, err
	}
	return r, r.addProject(ctx, "warm", r.repository)
}

// addProject waits until the server has looked at the repository for the first time, which it does by itself: what is
// timed later would run beside it.
func (r *runs) addProject(ctx context.Context, name string, of repository) error {
	if _, err := r.AddProject(ctx, client.NewProject{URL: of.dir, Name: name}); err != nil {
		return err
	}
	return until(ctx, "the first look at a repository", func() (bool, error) {
		seen, err := r.Changes(ctx, name)
		return len(seen) > 0 && seen[0].Outcome != "pending", err
	})
}

// sides are the laps of all that is run in turn.
type sides struct {
	there laps // the shell's, with a clone that is there already
	shell laps // the shell's, with a clone
	far   laps // the shell's, with a clone as from another machine
	cold  laps // ours, of a repository that the worker has never seen
	warm  laps // ours, of one that it has a mirror of
}

// alternate runs one of each side, again and again.
func (r *runs) alternate(ctx context.Context) (sides, error) {
	var all sides
	for i := range r.rounds(40, 12) {
		r.say("run: round %d", i+1)
		project, err := r.unseenProject(ctx, i)
		if err != nil {
			return all, err
		}
		clone := r.path("work", fmt.Sprint(i))
		one, err := r.byShell(func() error { return r.shell.run(ctx, r.repository.dir, clone) })
		all.shell.add(one, r.note(err))
		one, err = r.byShell(func() error { return r.shell.run(ctx, "file://"+r.repository.dir, clone+"-far") })
		all.far.add(one, r.note(err))
		one, err = r.byShell(func() error { return r.shell.steps(ctx, clone) })
		all.there.add(one, r.note(err))
		one, err = r.byServer(ctx, project)
		all.cold.add(one, r.note(err))
		one, err = r.byServer(ctx, "warm")
		all.warm.add(one, r.note(err))
		if ctx.Err() != nil {
			return all, context.Cause(ctx)
		}
	}
	return all, nil
}

func (r *runs) note(err error) error {
	if err != nil {
		r.failure = err
	}
	return err
}

// unseenProject has a pipeline of its own, because a name belongs to one project.
func (r *runs) unseenProject(ctx context.Context, i int) (string, error) {
	name := fmt.Sprintf("cold%d", i)
	made, err := r.newRepository(ctx, name, fmt.Sprintf(pipelineText, name, r.shell.step))
	if err != nil {
		return "", err
	}
	return name, r.addProject(ctx, name, made)
}

func (r *runs) byShell(run func() error) (lap, error) {
	began := time.Now()
	if err := run(); err != nil {
		return lap{}, errors.Join(err, r.stamps.clear())
	}
	return r.lap(began, time.Now())
}

func (r *runs) byServer(ctx context.Context, project string) (lap, error) {
	began := time.Now()
	run, err := r.StartRun(ctx, project, client.StartRun{})
	if err != nil {
		return lap{}, err
	}
	if _, err := r.finish(ctx, run); err != nil {
		return lap{}, errors.Join(err, r.stamps.clear())
	}
	return r.lap(began, time.Now())
}

// lap reads what the steps wrote down.
func (r *runs) lap(began, ended time.Time) (lap, error) {
	times, err := r.stamps.take()
	if err != nil {
		return lap{}, err
	}
	if len(times) != steps {
		return lap{}, fmt.Errorf("%d of %d steps ran", len(times), steps)
	}
	one := lap{first: milliseconds(times[0].Sub(began)), whole: milliseconds(ended.Sub(began))}
	for i := range steps - 1 {
		one.gaps = append(one.gaps, milliseconds(times[i+1].Sub(times[i])))
	}
	return one, nil
}

// The times that the page with the goals gives: what a shell took where they were set, in ms.
const (
	firstGoal, firstKnown = 30, 8
	wholeOver             = 20
	stepOver              = 6
	rateGoal              = 0.8
)

func (s sides) failed() int {
	return s.there.failed + s.shell.failed + s.far.failed + s.cold.failed + s.warm.failed
}

func (s sides) figures() []Figure {
	slow := func(samples []float64) float64 { return quantile(samples, 0.95) }
	started, cloned := median(s.there.first), median(s.shell.first)
	whole, gap := median(s.shell.whole), median(s.shell.gaps)
	gaps := slices.Concat(s.cold.gaps, s.warm.gaps)
	const there, shell = "shell, source there", "shell"
	return []Figure{
		{Name: "trigger to first process", Ours: median(s.warm.first), Unit: "ms", Reference: there, Limit: started, Goal: AtMostAs(firstGoal, firstKnown, started)},
		{Name: "trigger to first process, p95", Ours: slow(s.warm.first), Unit: "ms", Reference: there, Limit: slow(s.there.first)},
		{Name: "trigger to first process, cold clone", Ours: median(s.cold.first), Unit: "ms", Reference: shell, Limit: cloned},
		{Name: "whole run, cold clone", Ours: median(s.cold.whole), Unit: "ms", Reference: shell, Limit: whole, Goal: AtMost(whole + wholeOver)},
		{Name: "whole run, cold clone as from elsewhere", Ours: median(s.cold.whole), Unit: "ms", Reference: "shell, file://", Limit: median(s.far.whole)},
		{Name: "whole run, cold clone, p95", Ours: slow(s.cold.whole), Unit: "ms", Reference: shell, Limit: slow(s.shell.whole)},
		{Name: "whole run, warm mirror", Ours: median(s.warm.whole), Unit: "ms", Reference: shell, Limit: whole},
		{Name: "step", Ours: median(gaps), Unit: "ms", Reference: shell, Limit: gap, Goal: AtMost(gap + stepOver)},
		{Name: "step, p95", Ours: slow(gaps), Unit: "ms", Reference: shell, Limit: slow(s.shell.gaps)},
	}
}

// rates are what both sides did with so many runs at once.
type rates struct {
	atOnce      int
	runs        int
	shell, ours []float64 // runs a minute, of each round
	shellCPU    time.Duration
	oursCPU     time.Duration
	failed      int
}

// throughput keeps so many runs going on one side, then on the other.
func (r *runs) throughput(ctx context.Context, atOnce int) (rates, error) {
	all := rates{atOnce: atOnce}
	each := max(16/atOnce, r.rounds(4, 3))
	for round := range r.rounds(8, 3) {
		r.say("run: %d at once, round %d", atOnce, round+1)
		used := r.shell.used()
		rate, failed := r.keepGoing(atOnce, each, func(worker, i int) error {
			return r.shell.run(ctx, r.repository.dir, r.path("work", fmt.Sprintf("%d-%d-%d-%d", atOnce, round, worker, i)))
		})
		all.shell, all.shellCPU = append(all.shell, rate), all.shellCPU+r.shell.used()-used
		all.failed += failed

		before, err := cpu(r.pid())
		if err != nil {
			return all, err
		}
		rate, failed = r.keepGoing(atOnce, each, func(int, int) error { return r.once(ctx) })
		after, err := cpu(r.pid())
		if err != nil {
			return all, err
		}
		all.ours, all.oursCPU = append(all.ours, rate), all.oursCPU+after-before
		all.failed += failed
		all.runs += atOnce * each
		if err := errors.Join(ctx.Err(), r.stamps.clear()); err != nil {
			return all, err
		}
	}
	return all, nil
}

func (r *runs) once(ctx context.Context) error {
	run, err := r.StartRun(ctx, "warm", client.StartRun{})
	if err != nil {
		return err
	}
	_, err = r.finish(ctx, run)
	return err
}

// keepGoing has so many callers do something so often each. It answers how often it was done in a minute.
func (r *runs) keepGoing(callers, times int, do func(caller, i int) error) (rate float64, failed int) {
	var mu sync.Mutex
	var all sync.WaitGroup
	began := time.Now()
	for caller := range callers {
		all.Go(func() {
			for i := range times {
				if err := do(caller, i); err != nil {
					mu.Lock()
					failed++
					r.failure = err
					mu.Unlock()
				}
			}
		})
	}
	all.Wait()
	return float64(callers*times-failed) / time.Since(began).Minutes(), failed
}

func (a rates) figures() []Figure {
	shell := median(a.shell)
	suffix := fmt.Sprintf(", %d at once", a.atOnce)
	perRun := func(used time.Duration) float64 { return milliseconds(used) / float64(a.runs) }
	return []Figure{
		{Name: "runs a minute" + suffix, Ours: median(a.ours), Unit: "runs/min", Reference: "shell", Limit: shell, Goal: AtLeast(rateGoal * shell)},
		{Name: "CPU a run" + suffix, Ours: perRun(a.oursCPU), Unit: "ms", Reference: "shell", Limit: perRun(a.shellCPU)},
	}
}

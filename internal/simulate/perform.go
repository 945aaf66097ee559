package simulate

import (
	"errors"
	"fmt"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/deploy"
)

// perform does steps one after another, as long as each succeeds and nothing else is wanted.
func (p *performer) perform(f deploy.Facts, steps []deploy.Step, seenAt time.Duration) {
	w := p.keeper.world
	if len(steps) == 0 {
		p.again(p.pace(f))
		return
	}
	if isAnother(p.order.Environment, f.Environment) {
		p.again(0)
		return
	}
	operation := steps[0].Operation
	if deploy.PerformerOf(operation) == deploy.ByNobody {
		p.wait(f, operation)
		return
	}
	if !p.mayAct() {
		p.again(busyPace)
		return
	}
	if p.trouble() {
		return
	}
	w.say(p.keeper.name, "%s: %s (%s)", p.key(), operation, steps[0].Reason)
	p.cuttable = isCuttable(operation)
	p.next(w.dice.between(0, 2*time.Millisecond), func() {
		p.do(f, operation, seenAt, func(err error) {
			p.cuttable = false
			if err != nil {
				p.fail(f, operation.String(), err)
				return
			}
			p.tries = tries{}
			if p.trouble() {
				return
			}
			p.perform(f, steps[1:], seenAt)
		})
	})
}

// trouble befalls the keeper between two instructions. It says whether it died of it.
func (p *performer) trouble() bool {
	w, f := p.keeper.world, p.keeper.world.drawn.faults
	if w.fault(f.keeperDies) {
		p.keeper.fall("in its work at " + p.key())
		return true
	}
	if w.fault(f.freezes) {
		p.keeper.freeze()
	}
	return false
}

// isCuttable says that an operation waits, or stages what nothing uses yet.
func isCuttable(o deploy.Operation) bool {
	switch o.(type) {
	case deploy.Check, deploy.Place, deploy.Probe, deploy.Drain, deploy.EndStreams, deploy.Test, deploy.RunHook:
		return true
	}
	return false
}

func (p *performer) pace(f deploy.Facts) time.Duration {
	for _, i := range f.Observed.Instances {
		if i.Problem != "" {
			return ailingPace
		}
	}
	if f.Environment.Deployment != nil {
		return busyPace
	}
	return idlePace
}

// wait lets some time pass. A balancer that cannot be read is not waited for without end.
func (p *performer) wait(f deploy.Facts, o deploy.Operation) {
	var until time.Time
	switch o := o.(type) {
	case deploy.StandBy:
		until = o.Until
	case deploy.Hold:
		p.again(max(time.Millisecond, min(watchPace, o.Until.Sub(p.serverNow()))))
		return
	case deploy.Watch:
		p.again(max(time.Millisecond, min(watchPace, o.Until.Sub(p.serverNow()))))
		return
	case deploy.Await:
		until = o.Until
		if until.IsZero() && p.unread != nil {
			p.fail(f, o.String(), &deploy.Retryable{Err: p.unread})
			return
		}
	}
	pause := p.pace(f)
	if !until.IsZero() {
		pause = max(time.Millisecond, min(pause, until.Sub(p.serverNow())))
	}
	p.again(pause)
}

// do has an operation done by whose hands it needs.
func (p *performer) do(f deploy.Facts, o deploy.Operation, seenAt time.Duration, done func(error)) {
	if deploy.PerformerOf(o) == deploy.ByKeeper {
		p.doItself(f, o, done)
		return
	}
	given := order{epoch: f.Environment.Epoch, operation: o, known: f.Environment, goal: f.Environment.Goal.Number, seenAt: seenAt}
	if number := releaseOf(o); number > 0 {
		for _, r := range p.order.Releases {
			if r.Number == number {
				given.release = r
			}
		}
		if given.release.Number == 0 {
			done(&deploy.Permanent{Err: fmt.Errorf("release %d is not known to its keeper", number)})
			return
		}
	}
	p.give(given, done)
}

// doItself does what needs no driver.
func (p *performer) doItself(f deploy.Facts, o deploy.Operation, done func(error)) {
	epoch := f.Environment.Epoch
	switch o := o.(type) {
	case deploy.Conclude:
		p.conclude(f, "its goal is reached", func(at time.Time) towpath.EnvironmentEvent {
			return towpath.GoalReached{Epoch: epoch, Deployment: o.Deployment, Returning: isReturning(f), At: at}
		}, done)
	case deploy.BeginWatch:
		p.conclude(f, "the watch begins", func(at time.Time) towpath.EnvironmentEvent {
			return towpath.WatchBegan{Epoch: epoch, Deployment: o.Deployment, Baseline: f.Observed.Served, At: at}
		}, done)
	case deploy.BeginStep:
		p.conclude(f, "a step begins", func(at time.Time) towpath.EnvironmentEvent {
			return towpath.StepBegan{Epoch: epoch, Deployment: o.Deployment, Step: o.Step, At: at}
		}, done)
	case deploy.Test:
		p.test(f, done)
	case deploy.RunHook:
		p.beginHook(f, o.Hook, done)
	case deploy.LoseHook:
		p.conclude(f, "a hook was cut off", func(at time.Time) towpath.EnvironmentEvent {
			return towpath.HookLost{Epoch: epoch, Deployment: f.Environment.Deployment.ID, Hook: o.Hook, At: at}
		}, done)
	default: // it is condemned
		done(&deploy.Permanent{Err: errCondemned})
	}
}

func (p *performer) test(f deploy.Facts, done func(error)) {
	if w := p.keeper.world; w.fault(w.drawn.faults.stepFails) {
		p.next(time.Second, func() { done(errUnproved) })
		return
	}
	p.conclude(f, "the test passed", func(at time.Time) towpath.EnvironmentEvent {
		return towpath.DeploymentTested{Epoch: f.Environment.Epoch, Deployment: f.Environment.Deployment.ID, At: at}
	}, done)
}

// releaseOf is the release that a target needs to know for an operation.
func releaseOf(o deploy.Operation) int {
	switch o := o.(type) {
	case deploy.Check:
		return o.Release
	case deploy.Place:
		return o.Release
	}
	return 0
}

func (p *performer) conclude(f deploy.Facts, what string, event func(time.Time) towpath.EnvironmentEvent, done func(error)) {
	p.report(f, what, event, func(_ bool, err error) {
		if err != nil {
			err = unheardError{err}
		}
		done(err)
	})
}

var errCondemned = errors.New("it does not stand its watch")

// isReturning says what a word about the goal is about.
func isReturning(f deploy.Facts) bool {
	d := f.Environment.Deployment
	return d != nil && d.State == towpath.DeploymentReturning
}

// unheardError is a report that the server did not take: it is told again.
type unheardError struct{ error }

const (
	mostTries  = 5
	mostTrying = time.Minute
	firstPause = 500 * time.Millisecond
	mostPause  = time.Minute
)

// tries counts how often the operation in hand has failed in a row.
type tries struct {
	what  string
	count int
	since time.Duration
}

func (t *tries) pause() time.Duration {
	wait := firstPause
	for range min(t.count-1, 6) {
		wait *= 3
	}
	return min(wait, mostPause)
}

// fail decides what becomes of an operation that did not succeed: it is tried again after a pause, or the goal is given
// up.
func (p *performer) fail(f deploy.Facts, what string, err error) {
	var stale *deploy.StaleEpoch
	var permanent *deploy.Permanent
	var silent unheardError
	switch {
	case errors.As(err, &silent):
		p.again(busyPace)
		return
	case errors.As(err, &stale):
		p.refused(stale.Seen)
		p.again(busyPace)
		return
	}
	if p.tries.what != what {
		p.tries = tries{what: what, since: p.keeper.steady()}
	}
	p.tries.count++
	p.site.world.say(p.keeper.name, "%s: %s failed (try %d): %v", p.key(), what, p.tries.count, err)
	isOver := p.tries.count >= mostTries || p.keeper.steady()-p.tries.since >= mostTrying
	if d := f.Environment.Deployment; d != nil && (isOver || errors.As(err, &permanent)) {
		p.tries = tries{}
		p.report(f, "it gives up, "+what, func(at time.Time) towpath.EnvironmentEvent {
			return towpath.GoalFailed{Epoch: f.Environment.Epoch, Deployment: d.ID, Returning: isReturning(f), Reason: what + " failed", At: at}
		}, func(_ bool, err error) { p.again(busyPace / 4) })
		return
	}
	p.again(p.tries.pause())
}

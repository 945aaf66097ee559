package deploy_test

import (
	"errors"
	"fmt"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/deploy"
)

// errCondemned is how a release ends that does not stand its watch.
var errCondemned = errors.New("condemned")

// errCutOff is how a hook ends whose keeper dies.
var errCutOff = errors.New("cut off")

// errNeverHealthy is what a probe of an instance answers that does not pass.
var errNeverHealthy = errors.New("never healthy")

// judged performs an operation on some of its instances (all where some is nil), and answers the first law that it
// breaks. The second answer is the operation's own failure.
func (w *world) judged(laws []law, o deploy.Operation, seen towpath.Observation, some func(string) bool) (broken, failed error) {
	afters := make([]func() error, 0, len(laws))
	for _, l := range laws {
		after, err := l(w, o, seen)
		if err != nil {
			return err, nil
		}
		afters = append(afters, after)
	}
	failed = w.perform(o, some)
	for _, after := range afters {
		if err := after(); err != nil {
			return fmt.Errorf("after %q: %w", o, err), failed
		}
	}
	return nil, failed
}

// perform lets an operation have its effect. What it does to one instance, it does wholly; a shift is one change.
func (w *world) perform(o deploy.Operation, some func(string) bool) error {
	switch o := o.(type) {
	case deploy.Check:
		return w.check(o)
	case deploy.Place:
		return each(o.Instances, some, func(id string) error { return w.place(id, o.Release, o.Slots[id]) })
	case deploy.Start:
		return each(o.Instances, some, w.start)
	case deploy.Probe:
		err := each(o.Instances, some, w.probe)
		if err != nil {
			w.wait(o.Within)
		}
		return err
	case deploy.Stop:
		return each(o.Instances, some, w.stop)
	case deploy.Remove:
		return each(o.Instances, some, w.remove)
	case deploy.Shift:
		return w.shift(o)
	case deploy.Drain:
		w.wait(o.Within / 2)
		return each(o.Instances, some, w.finishRequests)
	case deploy.EndStreams:
		w.wait(o.Within)
		return each(o.Instances, some, w.closeStreams)
	case deploy.Forget:
		return each(o.Instances, some, w.forget)
	case deploy.StartSingle:
		return w.startSingle(o)
	case deploy.StopSingle:
		return w.stopSingle(o)
	default:
		return w.note(o, some)
	}
}

func each(ids []string, some func(string) bool, do func(string) error) error {
	var errs []error
	for _, id := range ids {
		if some == nil || some(id) {
			errs = append(errs, do(id))
		}
	}
	return errors.Join(errs...)
}

// note records what the keeper's own operations and waits lead to.
func (w *world) note(o deploy.Operation, some func(string) bool) error {
	switch o := o.(type) {
	case deploy.Test:
		w.happens(towpath.DeploymentTested{Epoch: w.environment.Epoch, Deployment: w.environment.Deployment.ID, At: w.now})
	case deploy.RunHook:
		return w.runHook(o.Hook, some)
	case deploy.LoseHook:
		w.happens(towpath.HookLost{Epoch: w.environment.Epoch, Deployment: w.environment.Deployment.ID, Hook: o.Hook, At: w.now})
	case deploy.BeginWatch:
		w.happens(towpath.WatchBegan{Epoch: w.environment.Epoch, Deployment: o.Deployment, Baseline: w.served(), At: w.now})
	case deploy.BeginStep:
		w.happens(towpath.StepBegan{Epoch: w.environment.Epoch, Deployment: o.Deployment, Step: o.Step, At: w.now})
	case deploy.Assign:
		w.happens(towpath.SingleAssigned{Epoch: w.environment.Epoch, Process: o.Process, Instance: o.Instance, Slot: o.Slot, At: w.now})
	case deploy.Hold: // from when it really began
		d, steps := w.environment.Deployment, w.definition().Strategy.Steps
		w.now = latest(w.now, latest(o.Until, d.StepAt.Add(steps[d.CanaryStep].For)))
	case deploy.Watch:
		w.serve(1000)
		w.stood = w.environment.Deployment.ID
		w.now = latest(w.now, o.Until)
	case deploy.Condemn:
		w.happens(towpath.GoalFailed{Epoch: w.environment.Epoch, Deployment: w.environment.Deployment.ID, Returning: w.environment.Deployment.IsReturning(), Reason: o.Reason, At: w.now})
		return errCondemned
	case deploy.Conclude:
		w.happens(towpath.GoalReached{Epoch: w.environment.Epoch, Deployment: o.Deployment, Returning: w.environment.Deployment.IsReturning(), At: w.now})
	case deploy.AwaitPromotion:
		w.happens(towpath.Promoted{Deployment: o.Deployment, By: "ana", At: w.now})
	case deploy.StandBy:
		w.now = latest(w.now, o.Until)
	case deploy.Await:
		w.now = latest(w.now, o.Until)
	default:
		return fmt.Errorf("nobody performs %T", o)
	}
	return nil
}

// runHook is cut off after it began, where it is done half.
func (w *world) runHook(h towpath.Hook, some func(string) bool) error {
	d := w.environment.Deployment
	w.happens(towpath.HookBegan{Epoch: w.environment.Epoch, Deployment: d.ID, Hook: h, At: w.now})
	w.hooks[d.ID+string(h)]++
	if some != nil {
		return errCutOff
	}
	w.wait(10 * time.Second)
	problem := ""
	if w.sick[d.Release.Number] {
		problem = "it is sick"
	}
	w.happens(towpath.HookEnded{Epoch: w.environment.Epoch, Deployment: d.ID, Hook: h, Problem: problem, At: w.now})
	return nil
}

func (w *world) check(o deploy.Check) error {
	for _, slot := range o.Slots {
		if w.isHostAway(w.hostOf(slot)) {
			return fmt.Errorf("%s: %w", slot, errNoAnswer)
		}
	}
	return nil
}

func (w *world) place(id string, release int, slot string) error {
	if w.isHostAway(w.hostOf(slot)) {
		return fmt.Errorf("%s: %w", slot, errNoAnswer)
	}
	if w.hasHosts() && w.hostOf(slot) == "" {
		return fmt.Errorf("%s: there is no slot %q", id, slot)
	}
	w.processes[id] = &process{release: release, state: towpath.InstancePlaced, slot: slot, since: w.now}
	return nil
}

func (w *world) start(id string) error {
	p, err := w.process(id)
	if err != nil || p.state == towpath.InstanceRunning {
		return err
	}
	for _, other := range w.occupants([]string{id}) {
		_ = w.stop(other)
	}
	p.state, p.passed, p.broken, p.since = towpath.InstanceRunning, false, false, w.now
	return nil
}

func (w *world) probe(id string) error {
	p, err := w.process(id)
	if err != nil {
		return err
	}
	if p.state != towpath.InstanceRunning || p.broken || w.sick[p.release] {
		return fmt.Errorf("%s: %w", id, errNeverHealthy)
	}
	p.passed = true
	delete(w.hazy, id)
	return nil
}

func (w *world) stop(id string) error {
	p, err := w.process(id)
	if err != nil {
		return err
	}
	p.state, p.passed, p.since = towpath.InstanceStopped, false, w.now
	return nil
}

func (w *world) remove(id string) error {
	p := w.processes[id]
	switch {
	case p == nil:
	case p.state == towpath.InstanceRunning:
		return fmt.Errorf("%s still runs", id)
	case w.isAway(p):
		return fmt.Errorf("%s: %w", id, errNoAnswer)
	}
	delete(w.processes, id)
	return nil
}

func (w *world) process(id string) (*process, error) {
	if p := w.processes[id]; p != nil && w.isAway(p) {
		return nil, fmt.Errorf("%s: %w", id, errNoAnswer)
	} else if p != nil {
		return p, nil
	}
	return nil, fmt.Errorf("%s is not there", id)
}

func (w *world) shift(o deploy.Shift) error {
	for id := range o.Weights {
		if w.members[id] == nil {
			w.members[id] = &member{idleSince: w.now}
		}
	}
	for id, m := range w.members {
		if m.weight > 0 && o.Weights[id] == 0 {
			m.idleSince = w.now
		}
		m.weight = o.Weights[id]
	}
	w.misrouted = false
	clear(w.byHand)
	return nil
}

func (w *world) finishRequests(id string) error {
	if m := w.members[id]; m != nil {
		m.requests = 0
	}
	return nil
}

func (w *world) closeStreams(id string) error {
	if m := w.members[id]; m != nil {
		m.streams = 0
	}
	return nil
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func (w *world) forget(id string) error {
	delete(w.members, id)
	return nil
}

package keeper

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/client"
	"github.com/towpath-cd/towpath/internal/deploy"
	"github.com/towpath-cd/towpath/internal/failpoint"
)

// orderTime is how long a lease has to last for an order that nobody can refuse to be begun.
const orderTime = 5 * time.Second

// errLook ends a long wait for what only concerns the old side, so that the new one is looked at meanwhile.
var errLook = errors.New("it is time to look again")

// perform does one step. It answers whether the next may follow without a new observation, and if not, how long
// nothing is to be done.
func (p *performer) perform(ctx context.Context, f deploy.Facts, step deploy.Step) (wait time.Duration, goOn bool) {
	if deploy.PerformerOf(step.Operation) == deploy.ByNobody {
		return p.wait(ctx, f, step), false
	}
	err := p.carry(ctx, f, step)
	switch {
	case err == nil:
		p.tries.succeed()
		return 0, true
	case isCut(err):
		return 0, false
	}
	return p.fail(ctx, f, step, err), false
}

// wait answers how long nothing is to be done. A balancer that cannot be read is not waited for without end.
func (p *performer) wait(ctx context.Context, f deploy.Facts, step deploy.Step) time.Duration {
	until := time.Time{}
	switch o := step.Operation.(type) {
	case deploy.StandBy:
		until = o.Until
	case deploy.Hold:
		return max(time.Millisecond, min(watchPace, o.Until.Sub(p.serverNow())))
	case deploy.Watch:
		return max(time.Millisecond, min(watchPace, o.Until.Sub(p.serverNow())))
	case deploy.Await:
		until = o.Until
		if err := p.tries.blindness(); until.IsZero() && err != nil {
			return p.fail(ctx, f, step, err)
		}
	}
	if until.IsZero() {
		return p.pace(f)
	}
	return max(time.Millisecond, min(p.pace(f), until.Sub(p.serverNow())))
}

// carry gives one operation its time, writes it down and has it done. The error isCut where it was cut.
func (p *performer) carry(ctx context.Context, f deploy.Facts, step deploy.Step) error {
	operating, disengage := p.engage(ctx, f, step.Operation)
	defer disengage()
	if err := context.Cause(operating); err != nil {
		return err
	}
	if _, err := p.mayAct(); err != nil {
		return unheard{err}
	}
	if end := p.mustEnd(step.Operation); !end.IsZero() && time.Until(end) < orderTime {
		p.keeper.kick() // the server renews the lease, and we are woken
		return unheard{errAlone}
	}
	p.logger.Info("operation begun", "operation", step.Operation.String(), "reason", step.Reason)
	p.note(entry{Event: eventBegun, Step: words(step), Epoch: f.Environment.Epoch})
	silence, began := p.announce(operating, f, step), p.serverNow()
	place := failpoint.Of("perform", step.Operation)
	place.Before()
	receipt, err := p.do(operating, f, step.Operation)
	place.After()
	silence()
	if cause := context.Cause(operating); err != nil && isCut(cause) {
		err = cause
	}
	ended := entry{Event: eventDone, Step: words(step), Epoch: f.Environment.Epoch, Detail: receipt.Detail}
	if err != nil {
		ended.Event, ended.Detail = eventFailed, err.Error()
	}
	ended.Detail = p.mask(ended.Detail)
	p.note(ended)
	p.remember(f, step, began, err)
	p.logger.Info("operation ended", "operation", step.Operation.String(), "how", ended.Event, "detail", ended.Detail)
	return err
}

func isCut(err error) bool {
	return errors.Is(err, errNews) || errors.Is(err, errLeaving) || errors.Is(err, errLook)
}

// engage answers the context of an operation: it has a deadline, and ends early when the goal becomes another or the
// keeper ends, at once where the operation only waits. It has ended already where there is another goal now.
func (p *performer) engage(ctx context.Context, f deploy.Facts, o deploy.Operation) (context.Context, func()) {
	operating, cut := context.WithCancelCause(context.WithoutCancel(ctx))
	deadline := time.Now().Add(limit(o, f.Environment.Definition))
	if end := p.mustEnd(o); !end.IsZero() && end.Before(deadline) {
		deadline = end
	}
	operating, cancel := context.WithDeadline(operating, deadline)
	look := cutToLook(o, cut)
	leave := context.AfterFunc(ctx, func() {
		if isCuttable(o) {
			cut(errLeaving)
			return
		}
		time.AfterFunc(leaveGrace, func() { cut(errLeaving) })
	})
	stop := func() {}
	if isCuttable(o) {
		stop = p.cutBy(f.Environment, cut)
	} else if isAnother(p.current().Environment, f.Environment) {
		cut(errNews)
	}
	return operating, func() {
		stop()
		look()
		leave()
		cancel()
		cut(nil)
	}
}

// mustEnd is when an operation has to be over, because nobody refuses it from a keeper that another has followed: at the end
// of the lease. It is zero where somebody does, where nothing is changed, and where no server gives leases.
func (p *performer) mustEnd(o deploy.Operation) time.Time {
	if _, waits := o.(deploy.Drain); waits || deploy.PerformerOf(o) != deploy.ByBalancer || p.isAlone() {
		return time.Time{}
	}
	if p.drivers.Balancer == nil || p.drivers.Balancer.Can().Fencing {
		return time.Time{}
	}
	return p.keeper.link.end()
}

// cutBy has what is in hand cut when another goal comes than that of e, or has come, until it is stopped.
func (p *performer) cutBy(e towpath.Environment, cut context.CancelCauseFunc) (stop func()) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	if isAnother(p.order.Environment, e) {
		cut(errNews)
	}
	p.cut = cut
	return func() {
		p.mutex.Lock()
		defer p.mutex.Unlock()
		p.cut = nil
	}
}

// cutToLook ends the wait for streams of the old side after a while: it may take minutes, and goes on where it was.
func cutToLook(o deploy.Operation, cut context.CancelCauseFunc) (stop func() bool) {
	streams, is := o.(deploy.EndStreams)
	if !is || streams.Within <= idlePace {
		return func() bool { return true }
	}
	return time.AfterFunc(idlePace, func() { cut(errLook) }).Stop
}

// isCuttable says that an operation waits, or stages what nothing uses yet: cutting it leaves nothing half done that
// the next plan would not see.
func isCuttable(o deploy.Operation) bool {
	switch o.(type) {
	case deploy.Check, deploy.Place, deploy.Probe, deploy.Drain, deploy.EndStreams, deploy.Test, deploy.RunHook:
		return true
	}
	return false
}

// limit is how long an operation may take.
func limit(o deploy.Operation, d towpath.EnvironmentDefinition) time.Duration {
	const spare = 30 * time.Second
	switch o := o.(type) {
	case deploy.Place:
		return 10 * time.Minute
	case deploy.Check, deploy.Start, deploy.StartSingle:
		if d.Target.Hosts != nil {
			return longestStop(d) + 5*time.Minute // its scripts run on every host
		}
	case deploy.Probe:
		return o.Within + spare
	case deploy.Stop, deploy.StopSingle:
		if d.Target.Process != nil {
			return longestStop(d) + spare
		}
		return longestStop(d) + 5*time.Minute
	case deploy.Drain:
		return o.Within + spare
	case deploy.EndStreams:
		return o.Within + spare
	case deploy.Test, deploy.RunHook:
		return 10 * time.Minute
	case deploy.Remove:
		return longestStop(d) + 2*time.Minute // it may have to end what an interrupted start has left
	}
	return spare
}

// longestStop is how long the slowest process of an instance may take to end.
func longestStop(d towpath.EnvironmentDefinition) (longest time.Duration) {
	if d.Target.Process != nil {
		longest = d.Target.Process.Stop.Within
	}
	for _, p := range d.Processes {
		longest = max(longest, p.Stop.Within)
	}
	return longest
}

// do performs an operation by whose hands it needs.
func (p *performer) do(ctx context.Context, f deploy.Facts, o deploy.Operation) (deploy.Receipt, error) {
	switch o := o.(type) {
	case deploy.Conclude:
		return deploy.Receipt{}, p.conclude(ctx, f, o)
	case deploy.RunHook:
		return deploy.Receipt{}, p.runHook(ctx, f, o.Hook)
	case deploy.LoseHook:
		return deploy.Receipt{}, p.loseHook(ctx, f, o)
	case deploy.BeginWatch:
		return deploy.Receipt{}, p.beginWatch(ctx, f, o)
	case deploy.BeginStep:
		return deploy.Receipt{}, p.beginStep(ctx, f, o)
	case deploy.Assign:
		return deploy.Receipt{}, p.assign(ctx, f, o)
	case deploy.Condemn:
		return deploy.Receipt{}, p.condemn(ctx, f, o)
	case deploy.Test:
		return deploy.Receipt{}, p.test(ctx, f, o)
	}
	driver := p.drivers.Target
	if deploy.PerformerOf(o) == deploy.ByBalancer {
		driver, p.known = p.drivers.Balancer, nil
	}
	if driver == nil {
		return deploy.Receipt{}, &deploy.Permanent{Err: fmt.Errorf("%s: the environment has no balancer", o)}
	}
	order, err := p.orderOf(f, o)
	if err != nil {
		return deploy.Receipt{}, err
	}
	if shift, is := o.(deploy.Shift); is {
		p.shares.give(shift.Weights)
	}
	return driver.Do(ctx, order)
}

// orderOf adds to an operation what a driver needs to perform it.
func (p *performer) orderOf(f deploy.Facts, o deploy.Operation) (deploy.Order, error) {
	order := deploy.Order{Epoch: f.Environment.Epoch, Operation: o}
	named, release := namedBy(o)
	for _, i := range f.Observed.Instances {
		if slices.Contains(named, i.ID) {
			order.Instances = append(order.Instances, i)
		}
	}
	if release == 0 {
		return order, nil
	}
	var err error
	order.Release, err = p.releaseOf(release)
	return order, err
}

func (p *performer) releaseOf(number int) (towpath.Release, error) {
	releases := p.current().Releases
	known := slices.IndexFunc(releases, func(r towpath.Release) bool { return r.Number == number })
	if known < 0 {
		return towpath.Release{}, &deploy.Permanent{Err: fmt.Errorf("release %d is not known to its keeper", number)}
	}
	return releases[known], nil
}

// namedBy answers the instances of an operation, and the release that a target needs to know for it.
func namedBy(o deploy.Operation) (instances []string, release int) {
	switch o := o.(type) {
	case deploy.Check:
		return nil, o.Release
	case deploy.Place:
		return o.Instances, o.Release
	case deploy.Start:
		release, _ = towpath.ParseInstanceID(o.Instances[0])
		return o.Instances, release
	case deploy.StartSingle:
		release, _ = towpath.ParseInstanceID(o.Instance)
		return []string{o.Instance}, release
	case deploy.StopSingle:
		return []string{o.Instance}, 0
	case deploy.Probe:
		return o.Instances, 0
	case deploy.Stop:
		return o.Instances, 0
	case deploy.Remove:
		return o.Instances, 0
	case deploy.Inspect:
		return o.Instances, 0
	case deploy.Shift:
		return slices.Collect(maps.Keys(o.Weights)), 0
	case deploy.Drain:
		return o.Instances, 0
	case deploy.EndStreams:
		return o.Instances, 0
	case deploy.Forget:
		return o.Instances, 0
	}
	return nil, 0
}

// test runs the strategy's script against each instance of the idle side, and records that it passed.
func (p *performer) test(ctx context.Context, f deploy.Facts, o deploy.Test) error {
	if p.keeper.options.Script == nil {
		return &deploy.Permanent{Err: errors.New("this keeper cannot run the strategy's test")}
	}
	order, err := p.orderOf(f, deploy.Start(o))
	if err != nil {
		return err
	}
	folder, err := os.MkdirTemp(p.keeper.folder, "test-")
	if err != nil {
		return &deploy.Retryable{Err: err}
	}
	defer os.RemoveAll(folder)
	for n, i := range order.Instances {
		dir := filepath.Join(folder, strconv.Itoa(n))
		if err := p.site.Files(ctx, order.Release, dir); err != nil {
			return err
		}
		script := Script{Text: f.Environment.Definition.Strategy.Test, Dir: dir, Env: p.testEnv(order.Release, i)}
		if err := p.keeper.options.Script(ctx, script); err != nil {
			return fmt.Errorf("the test of %s before it takes traffic: %w", i.ID, err)
		}
	}
	_, err = p.send(ctx, f, "tested", "")
	return err
}

func (p *performer) testEnv(r towpath.Release, i towpath.Instance) map[string]string {
	env := p.releaseEnv(r)
	env["TOWPATH_URL"] = "http://" + i.Address
	env["TOWPATH_INSTANCE"] = i.ID
	return env
}

// releaseEnv is what every script of the environment sees.
func (p *performer) releaseEnv(r towpath.Release) map[string]string {
	env := make(map[string]string)
	maps.Copy(env, r.Env[p.site.Definition.Name])
	maps.Copy(env, p.site.Secrets)
	env["TOWPATH_ENVIRONMENT"] = p.key
	env["TOWPATH_RELEASE"] = strconv.Itoa(r.Number)
	env["TOWPATH_REVISION"] = r.Revision
	return env
}

func (p *performer) conclude(ctx context.Context, f deploy.Facts, o deploy.Conclude) error {
	_, err := p.send(ctx, f, "reached", o.Note)
	return err
}

// beginWatch records what the balancer had counted before the goal takes traffic.
func (p *performer) beginWatch(ctx context.Context, f deploy.Facts, o deploy.BeginWatch) error {
	_, err := p.report(ctx, f, client.KeeperReport{Event: "watching", Deployment: o.Deployment, Baseline: f.Observed.Served})
	return err
}

// beginStep records that the goal has the share of a canary's step.
func (p *performer) beginStep(ctx context.Context, f deploy.Facts, o deploy.BeginStep) error {
	_, err := p.report(ctx, f, client.KeeperReport{Event: "step", Deployment: o.Deployment, Step: o.Step})
	return err
}

// assign records beside which instance a single process may run from now on.
func (p *performer) assign(ctx context.Context, f deploy.Facts, o deploy.Assign) error {
	_, err := p.report(ctx, f, client.KeeperReport{Event: "single", Process: o.Process, Instance: o.Instance, Slot: o.Slot})
	return err
}

// condemn fails for good, with what the instances said last.
func (p *performer) condemn(ctx context.Context, f deploy.Facts, o deploy.Condemn) error {
	condemned := &deploy.Permanent{Err: errors.New(o.Reason)}
	if len(o.Instances) == 0 {
		return condemned
	}
	order, err := p.orderOf(f, deploy.Inspect{Instances: o.Instances})
	if err == nil {
		var seen deploy.Receipt
		seen, err = p.drivers.Target.Do(ctx, order)
		condemned.Log = seen.Log
	}
	if err != nil {
		condemned.Log = []string{"what its instances said last cannot be read: " + err.Error()}
	}
	return condemned
}

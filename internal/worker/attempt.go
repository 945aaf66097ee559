package worker

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/towpath-cd/towpath/client"
	"github.com/towpath-cd/towpath/internal/executor"
	"github.com/towpath-cd/towpath/internal/failpoint"
	"github.com/towpath-cd/towpath/internal/git"
	"github.com/towpath-cd/towpath/internal/process"
)

// What a worker says of an attempt (towpath.AttemptState).
const (
	passed   = "passed"
	failed   = "failed"
	canceled = "canceled"
	// lost is never sent: it is what the server finds out by itself.
	lost = "lost"
)

// errStale is why an attempt ends that is no longer this worker's.
var errStale = errors.New("the attempt belongs to another worker, or has ended")

// stopRequest is the server's wish that an attempt ends.
type stopRequest struct{ reason string }

func (s *stopRequest) Error() string {
	if s.reason == "" {
		return "canceled"
	}
	return s.reason
}

// attempt is a leased step under way.
type attempt struct {
	*worker
	lease    *client.StepLease
	place    int
	left     workspace // what stood there
	free     func()    // gives the slot back; may be called more than once
	record   *record
	output   *output
	room     room
	caches   []stepCache
	guest    *guest        // who the step is on this machine; nil: the worker
	pristine *git.Pristine // the workspace before the script began; nil when it cannot be handed on
}

// perform runs a leased step from its workspace to its report.
func (w *worker) perform(l *client.StepLease) {
	free := sync.OnceFunc(w.giveSlot)
	defer free()
	if _, twice := w.active.LoadOrStore(l.LeaseRef, true); twice {
		return
	}
	defer w.active.Delete(l.LeaseRef)
	w.performing.Add(1)
	defer w.performing.Add(-1)
	log := w.log.With("run", l.Run, "step", l.Step, "attempt", l.Attempt)
	a, err := w.beginOnceThereIsRoom(l)
	if err != nil {
		log.Error("cannot begin a step", "error", err)
		w.refuse(l, err)
		return
	}
	a.free = free
	began := time.Now()
	report := a.follow()
	log.Info("step ended", "state", report.State, "reason", report.Reason, "took", time.Since(began))
}

// begin writes down that the step runs here, and finds it a place.
func (w *worker) begin(l *client.StepLease) (*attempt, error) {
	b, err := w.takeBerth()
	if err != nil {
		return nil, err
	}
	if err := b.record.keepLease(l.LeaseRef); err != nil {
		w.giveBack(b)
		return nil, err
	}
	place, left := w.places.take(l)
	a := &attempt{
		worker: w, guest: w.apart.guest(place), lease: l, place: place, left: left, record: b.record, output: newOutput(b.spool, hidden(l), l.LogLimit),
	}
	a.output.pace = newPace(func() bool { return w.performing.Load() > 1 })
	return a, nil
}

// refuse reports a step that the worker has no means to run.
func (w *worker) refuse(l *client.StepLease, why error) {
	report := client.StepReport{State: failed, Reason: "the worker cannot run steps: " + why.Error(), ExitCode: -1}
	d := w.beginDelivery()
	defer d.end()
	d.bound()
	if err := w.finish(d, l.LeaseRef, report); err != nil {
		w.log.Error("cannot report a step", "step", l.Step, "error", err)
	}
}

// follow runs the step while its lease is renewed and its log is sent. Both go on until the report is accepted.
func (a *attempt) follow() client.StepReport {
	ctx, stop := context.WithCancelCause(a.running)
	defer stop(nil)
	d := a.beginDelivery()
	defer d.end()
	renewing, stopRenewing := context.WithCancel(d)
	reports := make(chan client.StepReport, 1)
	var beside sync.WaitGroup
	var delivered error
	beside.Go(func() { a.renew(renewing, stop) })
	beside.Go(func() {
		defer stopRenewing()
		if delivered = a.deliver(d, a.record, a.output, a.reported(reports)); isStale(delivered) {
			stop(errStale)
		}
	})
	report := a.carryOut(ctx)
	report.Reason = a.output.masker.Mask(report.Reason)
	if report.State != lost {
		a.writeDown(report)
	}
	a.output.end(report.Reason)
	d.bound()
	a.tidy() // while the rest of the log travels, and before the report makes the next step of the run come
	reports <- report
	beside.Wait()
	a.settle(d, a.record, a.output, delivered)
	return report
}

// reported answers the attempt's report once it is there, and then gives the slot back: the log is sent, the place is
// free, and the next step can be asked for while this one's report travels.
func (a *attempt) reported(reports <-chan client.StepReport) func() client.StepReport {
	return func() client.StepReport {
		report := <-reports
		a.free()
		return report
	}
}

// writeDown leaves the report where the next worker finds it, should this one not deliver it.
func (a *attempt) writeDown(report client.StepReport) {
	if err := a.record.keepReport(report); err != nil {
		a.log.Error("cannot write a step's report down", "step", a.lease.Step, "error", err)
	}
}

// carryOut goes the way of a step: workspace, artifacts of others, script, outputs, own artifacts.
func (a *attempt) carryOut(ctx context.Context) client.StepReport {
	if err := a.patiently(ctx, func() error { return a.prepare(ctx) }); err != nil {
		a.unreserve()
		return failure(ctx, err)
	}
	a.restoreCaches(ctx)
	if a.lease.Debug != nil {
		return a.debugShell(ctx)
	}
	result, err := a.script(ctx)
	if err != nil {
		a.log.Error("a script's end was not clean", "step", a.lease.Step, "error", err)
	}
	report := client.StepReport{State: passed, ExitCode: result.ExitCode, Reason: result.Reason}
	switch {
	case result.Outcome == executor.NotStarted:
		a.unreserve()
		return failure(ctx, errors.New(result.Reason))
	case result.Outcome == executor.Interrupted:
		return failure(ctx, context.Cause(ctx))
	case !result.Passed():
		report.State = failed
		_ = a.reportTests(ctx) // it has failed already
		return report
	case err != nil && !errors.Is(err, process.ErrLeftBehind):
		return failure(ctx, err)
	}
	if err := errors.Join(a.reportTests(ctx), a.collect(ctx, &report)); err != nil {
		return failure(ctx, err)
	}
	a.keepCaches(ctx)
	return report
}

// failure reports a step whose script did not decide its end.
func failure(ctx context.Context, err error) client.StepReport {
	if stop, ok := errors.AsType[*stopRequest](context.Cause(ctx)); ok {
		return client.StepReport{State: canceled, Reason: stop.Error(), ExitCode: -1}
	}
	if cause := context.Cause(ctx); errors.Is(cause, errStopped) || errors.Is(cause, errStale) {
		return client.StepReport{State: lost, Reason: cause.Error(), ExitCode: -1}
	}
	return client.StepReport{State: failed, Reason: err.Error(), ExitCode: -1}
}

// script runs the step's script, with what belongs around it, in the group whose name is on the disk already.
func (a *attempt) script(ctx context.Context) (executor.Result, error) {
	home, err := a.home()
	if err == nil {
		err = a.handOver()
	}
	if err != nil {
		return executor.NotBegun(err), nil
	}
	timeout := seconds(a.lease.Timeout)
	limited, cancel := executor.Limit(ctx, timeout)
	defer cancel()
	around, err := a.surround(limited, home)
	defer a.end(around)
	switch {
	case err == nil:
	case limited.Err() != nil:
		a.unreserve()
		return executor.Cut(limited, timeout), nil
	default:
		return executor.NotBegun(err), nil
	}
	var result executor.Result
	var beside error
	waited := a.patiently(ctx, func() error {
		failpoint.At("start a step").Before()
		result, beside = around.way.Run(ctx, executor.Script{
			Text: a.lease.Script, Shell: a.lease.Shell, Dir: a.room.workspace, Scratch: a.room.scratch,
			Env: a.variables(a.lease, a.room, home, around.env), Output: a.output,
			Timeout: timeout, Grace: a.Grace, Group: a.record.group, Started: a.startedIn,
		})
		if result.Outcome == executor.NotStarted {
			return beside
		}
		return nil
	})
	if waited != nil {
		result.Reason, beside = waited.Error(), nil
	}
	return result, beside
}

// startedIn writes the group down again where the kernel did not take the reserved one.
func (a *attempt) startedIn(group string) {
	failpoint.At("start a step").After()
	if group == a.record.group {
		return
	}
	if err := a.record.keepGroup(group); err != nil {
		a.log.Error("cannot write a process group down", "step", a.lease.Step, "error", err)
	}
}

// unreserve gives back the group of a script that did not start.
func (a *attempt) unreserve() {
	if err := process.KillGroup(a.record.group); err != nil {
		a.log.Error("cannot give a process group back", "group", a.record.group, "error", err)
	}
}

// collect takes what the script left: outputs and artifacts.
func (a *attempt) collect(ctx context.Context, report *client.StepReport) error {
	outputs, err := readOutputs(a.room.outputs, a.guest.isForeign)
	if err != nil {
		return err
	}
	for name, value := range outputs {
		if a.output.masker.Mask(value) != value {
			return fmt.Errorf("%w: %s holds a secret, and outputs are shown to everyone", errOutput, name)
		}
	}
	report.Outputs = outputs
	report.Artifacts, err = a.keep(ctx)
	return err
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

package worker

import (
	"context"
	"errors"
	"fmt"

	"github.com/towpath-cd/towpath/client"
	"github.com/towpath-cd/towpath/internal/failpoint"
)

// delivery is the life of a step's delivery, which survives the worker's stop.
type delivery struct {
	context.Context
	worker *worker
	stop   context.CancelFunc
	unbind func() bool
}

func (w *worker) beginDelivery() *delivery {
	ctx, stop := context.WithCancel(context.WithoutCancel(w.running))
	return &delivery{Context: ctx, worker: w, stop: stop, unbind: func() bool { return true }}
}

// bound has it survive the stop by StopLimit and no longer. The script has ended then.
func (d *delivery) bound() {
	d.unbind = context.AfterFunc(d.worker.running, func() {
		if pauseFor(d, d.worker.StopLimit) == nil {
			d.stop()
		}
	})
}

func (d *delivery) end() {
	d.unbind()
	d.stop()
}

// settle leaves the record of a step to another one, once log and report are accepted, or refused for good. Else the
// record waits for the next worker.
func (w *worker) settle(ctx context.Context, r *record, o *output, delivered error) {
	log := w.log.With("run", r.lease.Run, "step", r.lease.Step, "attempt", r.lease.Attempt)
	switch {
	case delivered == nil:
	case ctx.Err() != nil:
		log.Warn("a step's end waits for the worker's next start")
		_ = o.spool.Close() // every byte was written already
		return
	case isStale(delivered):
		log.Info("a step's end came too late", "answer", delivered)
	default:
		log.Error("the server refuses a step's end", "error", delivered)
	}
	err := w.vacate(&berth{record: r, spool: o.spool})
	if err == nil {
		return
	}
	if removed := errors.Join(o.spool.Close(), r.remove()); removed != nil {
		log.Error("cannot remove a step's record", "folder", r.dir, "error", errors.Join(err, removed))
	}
}

// deliver brings a step's log to the server while it grows, and then its report, for which it waits. The error is why
// not both were accepted.
func (w *worker) deliver(ctx context.Context, r *record, o *output, reported func() client.StepReport) error {
	s := &sending{worker: w, lease: r.lease, output: o, offset: o.spool.Acknowledged()}
	if err := s.send(ctx); err != nil {
		return err
	}
	report := reported()
	if report.State == lost {
		return nil
	}
	pause := callBackoff()
	for try := 0; ; try++ {
		report.LogSize = o.spool.Size()
		err := w.finish(ctx, r.lease, report)
		if codeOf(err) != "conflict" || try == conflictTries {
			return err
		}
		// The server misses a part of the log, as after a restored backup.
		if stopped := pause.wait(ctx); stopped != nil {
			return stopped
		}
		s.lostPlace = true
		if err := s.send(ctx); err != nil {
			return err
		}
	}
}

// finish reports until the server answers. The error is its refusal, or that of ctx.
func (w *worker) finish(ctx context.Context, lease client.LeaseRef, report client.StepReport) error {
	pause := callBackoff()
	for {
		err := w.finishOnce(ctx, lease, report)
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case !isPassing(err):
			return fmt.Errorf("report the step's end: %w", err)
		}
		if stopped := pause.wait(ctx); stopped != nil {
			return stopped
		}
	}
}

func (w *worker) finishOnce(ctx context.Context, lease client.LeaseRef, report client.StepReport) error {
	ctx, cancel := context.WithTimeout(ctx, sendLimit)
	defer cancel()
	place := failpoint.At("report a step")
	place.Before()
	err := w.Client.Finish(ctx, lease, report)
	place.After()
	return err
}

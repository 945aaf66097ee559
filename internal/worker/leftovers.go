package worker

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/towpath-cd/towpath/client"
	"github.com/towpath-cd/towpath/internal/process"
)

// errKilled is what the log of a step says whose worker died.
var errKilled = errors.New("the worker was killed while this step ran")

// clearLeftovers ends what a former worker left running, begins to deliver what it did not deliver, and removes its
// workspaces. When it returns nothing of a former step runs any more.
func (w *worker) clearLeftovers() error {
	if err := each(w.dirs.beside, w.clearStanding); err != nil {
		return err
	}
	if err := each(w.dirs.leases, w.clearLease); err != nil {
		return err
	}
	w.cache.clear()
	w.clearHomes()
	if err := w.mirrors.git.ClearScratch(); err != nil {
		return err
	}
	if err := each(w.dirs.trash, w.removeLater); err != nil {
		return err
	}
	return each(w.dirs.work, w.discard)
}

// clearHomes removes what a killed worker left half restored of a step's cache.
func (w *worker) clearHomes() {
	for _, home := range []string{"", guestHome} {
		halves, _ := filepath.Glob(filepath.Join(w.dirs.homes, "*", "*", home, restoring+"*"))
		for _, half := range halves {
			w.discard(half)
		}
	}
}

func (w *worker) clearLease(dir string) {
	r, err := readRecord(dir)
	if err != nil {
		w.log.Warn("a former worker's step is dropped", "folder", dir, "error", err)
	}
	if r != nil {
		if err := process.KillGroup(r.group); err != nil {
			w.log.Error("a former worker's step cannot be ended", "step", r.lease.Step, "group", r.group, "error", err)
		}
	}
	if err != nil || r.lease == (client.LeaseRef{}) { // nothing was started
		_ = os.RemoveAll(dir)
		return
	}
	spool, err := r.spool()
	if err != nil {
		w.log.Error("a former worker's log cannot be read", "step", r.lease.Step, "error", err)
		_ = r.remove()
		return
	}
	w.resume(r, newOutput(spool, nil, 0))
}

// resume delivers what the disk still knows of a step.
func (w *worker) resume(r *record, o *output) {
	report, reported := r.report()
	last := ""
	if !reported {
		report.State, last = lost, errKilled.Error()
	}
	o.end(last)
	w.log.Info("delivering a former worker's step", "run", r.lease.Run, "step", r.lease.Step, "state", report.State)
	w.steps.Go(func() {
		d := w.beginDelivery()
		defer d.end()
		d.bound()
		w.settle(d, r, o, w.deliver(d, r, o, func() client.StepReport { return report }))
	})
}

// each does something with everything in a folder.
func each(dir string, do func(path string)) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("look for a former worker's workspaces: %w", err)
	}
	for _, entry := range entries {
		do(filepath.Join(dir, entry.Name()))
	}
	return nil
}

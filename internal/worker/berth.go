package worker

import (
	"errors"
	"fmt"

	"github.com/towpath-cd/towpath/internal/process"
	"github.com/towpath-cd/towpath/internal/steplog"
)

// berth is what a step needs whichever it is: a record with a group for its processes, and a spool. One is made ahead,
// so that the next step does not wait for it, and a step that was delivered leaves its own to another.
type berth struct {
	record *record
	spool  *steplog.Spool
}

func (w *worker) makeBerth() (*berth, error) {
	group, err := process.ReserveGroup()
	if err != nil {
		return nil, fmt.Errorf("reserve a process group: %w", err)
	}
	r, err := newRecord(w.dirs.leases, group)
	if err != nil {
		return nil, errors.Join(err, process.KillGroup(group))
	}
	spool, err := r.spool()
	if err != nil {
		return nil, errors.Join(err, r.remove(), process.KillGroup(group))
	}
	return &berth{record: r, spool: spool}, nil
}

// takeBerth answers one that is there, and has the next one made if it was the last.
func (w *worker) takeBerth() (*berth, error) {
	defer func() {
		if len(w.berths) == 0 {
			w.janitor.Go(w.prepareBerth)
		}
	}()
	select {
	case b := <-w.berths:
		return b, nil
	default:
		return w.makeBerth()
	}
}

// prepareBerth makes one ahead. What keeps it from that is told by the step that needs it.
func (w *worker) prepareBerth() {
	if b, err := w.makeBerth(); err == nil {
		w.leave(b)
	}
}

// leave has a berth wait for a step, if there is room.
func (w *worker) leave(b *berth) {
	select {
	case w.berths <- b:
	default:
		w.giveBack(b)
	}
}

// vacate makes a berth of what a step leaves whose end is accepted. Its group is gone already.
func (w *worker) vacate(b *berth) error {
	group, err := process.ReserveGroup()
	if err != nil {
		return fmt.Errorf("reserve a process group: %w", err)
	}
	if err := errors.Join(b.record.reuse(group), b.spool.Reset()); err != nil {
		return errors.Join(err, process.KillGroup(group))
	}
	w.leave(b)
	return nil
}

// clearBerths gives back what no step needed.
func (w *worker) clearBerths() {
	w.janitor.Wait()
	for len(w.berths) > 0 {
		w.giveBack(<-w.berths)
	}
}

func (w *worker) giveBack(b *berth) {
	if err := errors.Join(b.spool.Close(), process.KillGroup(b.record.group), b.record.remove()); err != nil {
		w.log.Error("cannot give back what no step needed", "folder", b.record.dir, "error", err)
	}
}

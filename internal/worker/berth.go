package worker

import (
	"errors"
	"fmt"

	"github.com/towpath-cd/towpath/internal/process"
	"github.com/towpath-cd/towpath/internal/steplog"
)

// berth is what a step needs whichever it is: a record with a group for its processes, and a spool. One is made ahead,
// so that the next step does not wait for it.
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

// takeBerth answers the one that was made ahead, and has the next one made.
func (w *worker) takeBerth() (*berth, error) {
	defer w.janitor.Go(w.prepareBerth)
	select {
	case b := <-w.berths:
		return b, nil
	default:
		return w.makeBerth()
	}
}

// prepareBerth makes one ahead unless there is one. What keeps it from that is told by the step that needs it.
func (w *worker) prepareBerth() {
	b, err := w.makeBerth()
	if err != nil {
		return
	}
	select {
	case w.berths <- b:
	default:
		w.giveBack(b)
	}
}

// clearBerths gives back what no step needed.
func (w *worker) clearBerths() {
	w.janitor.Wait()
	select {
	case b := <-w.berths:
		w.giveBack(b)
	default:
	}
}

func (w *worker) giveBack(b *berth) {
	if err := errors.Join(b.spool.Close(), process.KillGroup(b.record.group), b.record.remove()); err != nil {
		w.log.Error("cannot give back what no step needed", "folder", b.record.dir, "error", err)
	}
}

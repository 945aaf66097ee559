package worker

import (
	"context"
	"errors"
	"syscall"
	"time"

	"github.com/towpath-cd/towpath/client"
)

// diskPace is how often a full disk is looked at.
const diskPace = 5 * time.Second

// fullLimit is how long a step waits that was leased while another was filling the disk.
const fullLimit = 2 * time.Minute

// beginOnceThereIsRoom begins a step, and again while the disk is full: what fills it is mostly another step's, and goes
// with that. The lease is renewed meanwhile.
func (w *worker) beginOnceThereIsRoom(l *client.StepLease) (*attempt, error) {
	pause, since := callBackoff(), time.Now()
	for {
		a, err := w.begin(l)
		if !errors.Is(err, syscall.ENOSPC) || time.Since(since) > fullLimit {
			return a, err
		}
		if pause.wait(w.running) != nil {
			return nil, err
		}
		ctx, cancel := context.WithTimeout(w.running, renewLimit)
		_, _ = w.Client.Renew(ctx, l.LeaseRef) // one that is lost is found out once the step is under way
		cancel()
	}
}

// awaitSpace takes no step while the disk is nearly full: it would fail in the middle, for a reason that is not its
// own.
func (w *worker) awaitSpace(ctx context.Context) error {
	for told := false; ; told = true {
		free, err := freeBytes(w.dirs.work)
		if err != nil || free >= w.MinFree { // a disk that does not tell is no reason to stand still
			if told {
				w.log.Info("disk has room again; taking steps", "free", free)
			}
			return nil
		}
		if !told {
			w.log.Error("disk is nearly full; no step is taken until there is room",
				"folder", w.DataDir, "free", free, "wanted", w.MinFree)
		}
		if err := pauseFor(ctx, diskPace); err != nil {
			return err
		}
	}
}

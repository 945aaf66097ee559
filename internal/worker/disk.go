package worker

import (
	"context"
	"time"
)

// diskPace is how often a full disk is looked at.
const diskPace = 5 * time.Second

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

package proxy

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// ErrLocked is returned when another proxy owns the data folder and does not give it up.
var ErrLocked = errors.New("another proxy owns the data folder")

const lockName = "proxy.lock"

// lockFolder takes the folder's lock, waiting at most patience for another process to give it back.
func lockFolder(ctx context.Context, folder string, patience time.Duration) (*os.File, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for {
		lock, err := lockFile(filepath.Join(folder, lockName))
		if !errors.Is(err, ErrLocked) {
			return lock, err
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("%w: %s", ErrLocked, folder)
		case <-tick.C:
		}
	}
}

package proxy

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/towpath-cd/towpath/internal/durable"
)

// ErrLocked is returned when another proxy owns the data folder and does not give it up.
var ErrLocked = errors.New("another proxy owns the data folder")

const lockName = "proxy.lock"

// lockFolder takes the folder's lock, waiting at most patience for another process to give it back.
func lockFolder(ctx context.Context, folder string, patience time.Duration) (unlock func() error, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	unlock, err = durable.AwaitLock(ctx, filepath.Join(folder, lockName))
	if errors.Is(err, durable.ErrHeld) {
		return nil, fmt.Errorf("%w: %s", ErrLocked, folder)
	}
	return unlock, err
}

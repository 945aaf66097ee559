package supervise

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"
)

// errLocked means that another process holds a lock.
var errLocked = errors.New("locked by another process")

// lockPace is how often a lock that is held is tried again.
const lockPace = 5 * time.Millisecond

// lock is a file lock, which ends with the process that holds it.
type lock struct{ file *os.File }

// tryLock takes a lock without waiting. The error is errLocked when another holds it.
func tryLock(path string) (*lock, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := lockExclusively(file); err != nil {
		file.Close()
		return nil, err
	}
	return &lock{file: file}, nil
}

// takeLock waits for a lock until ctx is done.
func takeLock(ctx context.Context, path string) (*lock, error) {
	for {
		l, err := tryLock(path)
		if !errors.Is(err, errLocked) {
			return l, err
		}
		if !pause(ctx, lockPace) {
			return nil, fmt.Errorf("wait for %s: %w", path, context.Cause(ctx))
		}
	}
}

func (l *lock) release() { l.file.Close() }

// pause says whether ctx was still going on at the end.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

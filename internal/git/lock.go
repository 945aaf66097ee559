package git

import (
	"context"
	"errors"
	"fmt"
	"os"
)

// lock is held by one goroutine of one process. It lasts until unlock; when its process is killed, until the last
// git process it was handed to has ended.
type lock struct{ file *os.File }

// takeLock waits for the lock on path, which is made if it is missing, or for the end of ctx.
func takeLock(ctx context.Context, path string) (*lock, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the lock of a mirror: %w", err)
	}
	locked := make(chan error, 1)
	go func() { locked <- lockFile(file) }()
	select {
	case err := <-locked:
		if err != nil {
			return nil, fmt.Errorf("lock %s: %w", path, errors.Join(err, file.Close()))
		}
		return &lock{file: file}, nil
	case <-ctx.Done():
		go func() { // the wait itself cannot be broken off
			<-locked
			_ = file.Close()
		}()
		return nil, fmt.Errorf("wait for the lock of a mirror: %w", context.Cause(ctx))
	}
}

func (l *lock) unlock() {
	unlockFile(l.file)
	_ = l.file.Close()
}

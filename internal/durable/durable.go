// Package durable keeps small files and folders safe on disk: a file is there whole or as it was before, and a folder
// belongs to one process.
package durable

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/towpath-cd/towpath/internal/failpoint"
)

// lockPace is how often a lock that is held is tried again.
const lockPace = 2 * time.Millisecond

// lockPatience is how long LockSoon waits.
const lockPatience = 2 * time.Second

// ErrHeld says that another process has the lock.
var ErrHeld = errors.New("held by another process")

// WriteFile replaces a file by its whole new content, which is on the disk when it returns. Only its owner can read it.
func WriteFile(path string, content []byte) error {
	place := failpoint.Called("write")
	file, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	_, err = file.Write(content)
	err = errors.Join(err, file.Sync(), file.Close())
	if err == nil {
		place.Before()
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", path, errors.Join(err, os.Remove(file.Name())))
	}
	if err := SyncFolder(filepath.Dir(path)); err != nil {
		return err
	}
	place.After()
	return nil
}

// Lock takes the lock of a file, which is made if it is missing. It answers ErrHeld at once where another process has
// it. It ends when the answered function is called, and with the process, however that ends.
func Lock(path string) (unlock func() error, err error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	if err := lock(file); err != nil {
		return nil, fmt.Errorf("lock %s: %w", path, errors.Join(err, file.Close()))
	}
	return file.Close, nil
}

// AwaitLock takes the lock of a file as Lock does, and where another process has it waits until ctx is done. It tries
// at least once. The error is then ErrHeld and the cause of ctx's end.
func AwaitLock(ctx context.Context, path string) (unlock func() error, err error) {
	tick := time.NewTicker(lockPace)
	defer tick.Stop()
	for {
		unlock, err := Lock(path)
		if !errors.Is(err, ErrHeld) {
			return unlock, err
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("wait: %w: %w", err, context.Cause(ctx))
		case <-tick.C:
		}
	}
}

// LockSoon takes the lock of a file as Lock does, and waits a moment where it is held: a process that was killed while it
// started another leaves a copy of its open files in that one, until it has become the program that it is to be.
func LockSoon(path string) (unlock func() error, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), lockPatience)
	defer cancel()
	return AwaitLock(ctx, path)
}

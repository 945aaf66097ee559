// Package durable keeps small files and folders safe on disk: a file is there whole or as it was before, and a folder
// belongs to one process.
package durable

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// A lock that is held is tried again for lockPatience, every lockPace. A process that was killed while it started
// another leaves a copy of its open files in that one, until it has become the program that it is to be.
const (
	lockPatience = 2 * time.Second
	lockPace     = 10 * time.Millisecond
)

// ErrHeld says that another process has the lock.
var ErrHeld = errors.New("held by another process")

// WriteFile replaces a file by its whole new content, which is on the disk when it returns. Only its owner can read it.
func WriteFile(path string, content []byte) error {
	file, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	_, err = file.Write(content)
	err = errors.Join(err, file.Sync(), file.Close())
	if err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", path, errors.Join(err, os.Remove(file.Name())))
	}
	return SyncFolder(filepath.Dir(path))
}

// Lock takes the lock of a file, which is made if it is missing. It answers ErrHeld where another process has it and
// does not let go of it within two seconds. It ends when the answered function is called, and with the process, however
// that ends.
func Lock(path string) (unlock func() error, err error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	if err := lockPatiently(file); err != nil {
		return nil, fmt.Errorf("lock %s: %w", path, errors.Join(err, file.Close()))
	}
	return file.Close, nil
}

func lockPatiently(file *os.File) error {
	tick := time.NewTicker(lockPace)
	defer tick.Stop()
	for deadline := time.Now().Add(lockPatience); ; <-tick.C {
		err := lock(file)
		if !errors.Is(err, ErrHeld) || time.Now().After(deadline) {
			return err
		}
	}
}

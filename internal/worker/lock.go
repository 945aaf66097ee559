package worker

import (
	"errors"
	"fmt"
	"os"
)

// errLocked is what lockFile answers when another process has the lock.
var errLocked = errors.New("locked")

// lockFolder makes sure that this is the only worker on its data folder: the next one would take the steps of this
// one for those of a dead one. The lock ends with the process, however that ends.
func lockFolder(path string) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock the worker's data folder: %w", err)
	}
	if err := lockFile(file); err != nil {
		file.Close()
		if errors.Is(err, errLocked) {
			err = ErrInUse
		}
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	return file, nil
}

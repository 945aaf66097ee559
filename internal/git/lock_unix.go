//go:build unix

package git

import (
	"errors"
	"os"
	"syscall"
)

// lockFile waits until nobody else holds a lock on the file.
func lockFile(f *os.File) error {
	for {
		if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}

// unlockFile lets the next one in, whoever else still has the file open.
func unlockFile(f *os.File) { _ = syscall.Flock(int(f.Fd()), syscall.LOCK_UN) }

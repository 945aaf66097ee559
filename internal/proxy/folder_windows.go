package proxy

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/windows"

	"github.com/towpath-cd/towpath/internal/proxy/control"
)

// syncFolder has no counterpart: NTFS journals the rename.
func syncFolder(string) error { return nil }

// lockFile takes the lock of a path, or reports ErrLocked. The kernel gives it back when the process ends.
func lockFile(path string) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	flags := uint32(windows.LOCKFILE_EXCLUSIVE_LOCK | windows.LOCKFILE_FAIL_IMMEDIATELY)
	err = windows.LockFileEx(windows.Handle(file.Fd()), flags, 0, 1, 0, new(windows.Overlapped))
	if err == nil {
		return file, nil
	}
	file.Close()
	if errors.Is(err, windows.ERROR_LOCK_VIOLATION) {
		return nil, ErrLocked
	}
	return nil, fmt.Errorf("lock %s: %w", path, err)
}

// ownSocket is the name that clients know: without a holder there is one process at a time.
func ownSocket(folder string) string { return filepath.Join(folder, control.SocketName) }

func publishSocket(_, _ string) error { return nil }

func withdrawSocket(_, _ string) {}

func otherSockets(string) map[int]string { return nil }

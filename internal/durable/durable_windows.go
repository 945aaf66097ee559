package durable

import (
	"errors"
	"os"

	"golang.org/x/sys/windows"
)

// SyncFolder has nothing to do: NTFS journals the names in its folders.
func SyncFolder(string) error { return nil }

func lock(file *os.File) error {
	const flags = windows.LOCKFILE_EXCLUSIVE_LOCK | windows.LOCKFILE_FAIL_IMMEDIATELY
	err := windows.LockFileEx(windows.Handle(file.Fd()), flags, 0, 1, 0, new(windows.Overlapped))
	if errors.Is(err, windows.ERROR_LOCK_VIOLATION) {
		return ErrHeld
	}
	return err
}

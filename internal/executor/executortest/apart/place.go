//go:build linux

package apart

import (
	"errors"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// prefix begins the name of every place's folder, and of its control group.
const prefix = "towpath-apart-"

// lockName is a file in a place's folder that the process which claimed it holds locked while it lives.
const lockName = ".claimed"

// claim makes a place, and releases it when the answered function is called. Before, it clears the places of processes
// that were killed.
func claim() (p Place, release func() error, err error) {
	sweep(os.TempDir())
	dir, err := os.MkdirTemp("", prefix) // that of the test may be too long for a socket's name
	if err != nil {
		return Place{}, nil, err
	}
	lock, err := lockIn(dir)
	if err != nil {
		return Place{}, nil, errors.Join(err, os.RemoveAll(dir))
	}
	return Place{Dir: dir, Group: filepath.Base(dir)}, lock.Close, nil
}

// lockIn locks a folder before anybody can see that it has a lock.
func lockIn(dir string) (*os.File, error) {
	unseen := filepath.Join(dir, lockName+".new")
	lock, err := os.OpenFile(unseen, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(unix.Flock(int(lock.Fd()), unix.LOCK_EX), os.Rename(unseen, filepath.Join(dir, lockName))); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return lock, nil
}

// sweep clears the places in a folder that nobody holds any more. One whose last process is just ending stays, until
// somebody sweeps again.
func sweep(folder string) {
	locks, _ := filepath.Glob(filepath.Join(folder, prefix+"*", lockName))
	for _, path := range locks {
		lock, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			continue // its owner was faster
		}
		if unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil {
			dir := filepath.Dir(path)
			_ = Place{Dir: dir, Group: filepath.Base(dir)}.clear()
		}
		_ = lock.Close()
	}
}

// clear removes the control groups, and then what is on the disk. All processes have ended.
func (p Place) clear() error {
	for _, pattern := range []string{"/sys/fs/cgroup/" + p.Group, "/sys/fs/cgroup/*/" + p.Group} {
		found, _ := filepath.Glob(pattern)
		for _, root := range found {
			if err := removeGroups(root); err != nil {
				return err
			}
		}
	}
	return os.RemoveAll(p.Dir)
}

// removeGroups takes a tree of control groups away from its leaves.
func removeGroups(dir string) error {
	entries, _ := os.ReadDir(dir)
	var failed error
	for _, entry := range entries {
		if entry.IsDir() {
			failed = errors.Join(failed, removeGroups(filepath.Join(dir, entry.Name())))
		}
	}
	if err := os.Remove(dir); err != nil && !os.IsNotExist(err) {
		return errors.Join(failed, err)
	}
	return failed
}

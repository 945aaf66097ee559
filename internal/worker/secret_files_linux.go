package worker

import (
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// folderInMemory answers a folder that lies on no disk, that we may write to, and that will do: the one of the user's session,
// or that of shared memory (tmpfs(5)).
func folderInMemory(willDo func(dir string) bool) (dir string, found bool) {
	for _, dir := range []string{os.Getenv("XDG_RUNTIME_DIR"), "/dev/shm"} {
		var s unix.Statfs_t
		if !filepath.IsAbs(dir) || !willDo(dir) || unix.Statfs(dir, &s) != nil || unix.Access(dir, unix.W_OK|unix.X_OK) != nil {
			continue
		}
		if kind := uint32(s.Type); kind == unix.TMPFS_MAGIC || kind == unix.RAMFS_MAGIC { //nolint:gosec // magic numbers have 32 bits
			return dir, true
		}
	}
	return "", false
}

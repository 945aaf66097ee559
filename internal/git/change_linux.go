package git

import (
	"io/fs"
	"syscall"
	"time"
)

// hasChangeTime: the platform tells when a file was last changed in any way.
const hasChangeTime = true

func changeOf(info fs.FileInfo) (inode uint64, changed time.Time) {
	s, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, time.Time{}
	}
	return s.Ino, time.Unix(s.Ctim.Unix())
}

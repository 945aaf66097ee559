//go:build !linux && !darwin

package git

import (
	"io/fs"
	"time"
)

// hasChangeTime: the platform tells when a file was last changed in any way.
const hasChangeTime = false

func changeOf(fs.FileInfo) (inode uint64, changed time.Time) { return 0, time.Time{} }

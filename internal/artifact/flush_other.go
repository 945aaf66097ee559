//go:build !linux

package artifact

import "os"

// beginFlush is left to the kernel.
func beginFlush(*os.File, int64, int64) {}

//go:build unix

package worker

import (
	"io/fs"
	"syscall"
)

// holderOf is the number of the user whose file it is.
func holderOf(info fs.FileInfo) int {
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		return int(s.Uid)
	}
	return -1
}

// linksOf is how many names a file has.
func linksOf(info fs.FileInfo) uint64 {
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		return uint64(s.Nlink) //nolint:unconvert // the types differ between platforms
	}
	return 1
}

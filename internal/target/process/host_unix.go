//go:build unix

package process

import "golang.org/x/sys/unix"

// freeBytes answers how much a user may still write below the folder.
func freeBytes(folder string) (uint64, error) {
	var stat unix.Statfs_t
	if err := unix.Statfs(folder, &stat); err != nil {
		return 0, err
	}
	return stat.Bavail * uint64(stat.Bsize), nil
}

//go:build !linux

package worker

// folderInMemory answers none: these systems have no such folder of their own.
func folderInMemory(func(string) bool) (dir string, found bool) { return "", false }

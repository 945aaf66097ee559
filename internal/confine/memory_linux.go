package confine

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

func newMemory() (*os.File, error) {
	fd, err := unix.MemfdCreate("order", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("make a file in memory: %w", err)
	}
	return os.NewFile(uintptr(fd), "order"), nil
}

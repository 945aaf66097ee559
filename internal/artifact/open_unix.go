//go:build unix

package artifact

import (
	"errors"
	"os"
	"syscall"
)

// noFollow makes open fail on a link, and not wait on a pipe.
const noFollow = syscall.O_NOFOLLOW | syscall.O_NONBLOCK

// syncDir makes the names in a folder durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

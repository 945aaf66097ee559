//go:build unix

package access

import (
	"fmt"
	"os"
)

func checkPrivate(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("read the owner's token: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return fmt.Errorf("%w: %s; remove it to get a new one", ErrExposed, path)
	}
	return nil
}

//go:build !linux

package supervise

import (
	"fmt"
	"path/filepath"
)

// pathLimit is what fits into sun_path on macOS, the shortest.
const pathLimit = 103

func socketAddress(dir string) (address string, release func(), err error) {
	address = filepath.Join(dir, socketFile)
	if len(address) > pathLimit {
		return "", nil, fmt.Errorf("path of socket %s is longer than %d bytes: choose a shorter data folder", address, pathLimit)
	}
	return address, func() {}, nil
}

package supervise

import (
	"fmt"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// pathLimit is what fits into sun_path (unix(7)).
const pathLimit = 107

// socketAddress names the socket; by a descriptor of its folder where the path is too long for a socket.
func socketAddress(dir string) (address string, release func(), err error) {
	address = filepath.Join(dir, socketFile)
	if len(address) <= pathLimit {
		return address, func() {}, nil
	}
	fd, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", nil, fmt.Errorf("%w: open folder: %w", errNoSupervisor, err)
	}
	return fmt.Sprintf("/proc/self/fd/%d/%s", fd, socketFile), func() { _ = unix.Close(fd) }, nil
}

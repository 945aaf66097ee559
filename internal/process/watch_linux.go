package process

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// watch waits for the end of a process through a descriptor (pidfd_open(2)), which is readable from that moment on.
type watch struct{ file *os.File }

func newWatch(id Identity) (*watch, error) {
	fd, err := openExactly(id, unix.PIDFD_NONBLOCK)
	if err != nil {
		return nil, err
	}
	return &watch{file: os.NewFile(uintptr(fd), "pidfd")}, nil
}

func (w *watch) wait() {
	raw, err := w.file.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Read(func(fd uintptr) bool { return isReadable(int(fd), 0) })
}

func (w *watch) close() { _ = w.file.Close() }

func isReadable(fd, milliseconds int) bool {
	for {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, milliseconds)
		if !errors.Is(err, unix.EINTR) {
			return n > 0 || err != nil
		}
	}
}

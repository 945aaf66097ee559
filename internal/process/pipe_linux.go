package process

import (
	"os"

	"golang.org/x/sys/unix"
)

// enlarge has a pipe hold so many bytes (fcntl(2), F_SETPIPE_SZ). The kernel refuses it to who has many large pipes
// already; then it stays as it is.
func enlarge(pipe *os.File, bytes int) {
	raw, err := pipe.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) { _, _ = unix.FcntlInt(fd, unix.F_SETPIPE_SZ, bytes) })
}

package process

import (
	"os"

	"golang.org/x/sys/unix"
)

// awaitExit leaves the process a zombie, which keeps its identifiers from being used again.
func awaitExit(process *os.Process) {
	for {
		err := unix.Waitid(unix.P_PID, process.Pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if err != unix.EINTR {
			return
		}
	}
}

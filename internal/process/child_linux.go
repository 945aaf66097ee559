package process

import (
	"os"
	"os/exec"

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

func unshare(cmd *exec.Cmd, namespaces uintptr) { cmd.SysProcAttr.Cloneflags |= namespaces }

//go:build unix

package process

import (
	"os"
	"os/exec"
	"runtime"
	"syscall"
)

func (r *Result) addPlatform(state *os.ProcessState) {
	if status, ok := state.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		r.Signal, r.CoreDumped = status.Signal(), status.CoreDump()
	}
	if usage, ok := state.SysUsage().(*syscall.Rusage); ok {
		r.MaxRSS = int64(usage.Maxrss) * maxRSSUnit()
	}
}

// takeTerminal makes the standard input the terminal of the session that every group has of its own.
func takeTerminal(cmd *exec.Cmd) { cmd.SysProcAttr.Setctty, cmd.SysProcAttr.Ctty = true, 0 }

// maxRSSUnit is the unit of ru_maxrss in bytes: getrusage(2) counts kilobytes on Linux, bytes on macOS.
func maxRSSUnit() int64 {
	if runtime.GOOS == "darwin" {
		return 1
	}
	return 1024
}

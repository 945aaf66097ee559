//go:build unix

package git

import (
	"errors"
	"os"
	"os/exec"
	"syscall"
)

// ownGroup lets a cancelled git take its transport helpers with it.
func ownGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
}

// inherit hands a locked file to the process, so that the lock lasts until the process and its children have
// ended, also when we are killed first.
func inherit(cmd *exec.Cmd, locked *os.File) {
	if locked != nil {
		cmd.ExtraFiles = []*os.File{locked}
	}
}

// wasKilled says that a process ended by a SIGKILL. Where it was ours, the cause is another.
func wasKilled(cause error) bool {
	exit, is := errors.AsType[*exec.ExitError](cause)
	if !is {
		return false
	}
	status, is := exit.Sys().(syscall.WaitStatus)
	return is && status.Signaled() && status.Signal() == syscall.SIGKILL
}

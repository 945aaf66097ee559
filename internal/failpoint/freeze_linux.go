package failpoint

import (
	"os"
	"runtime"
	"syscall"
)

// freeze returns once somebody has let this process go on. The signal is for this thread: sent to the process, another one
// may take it, and this one goes on for a moment.
func freeze() {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	_ = syscall.Tgkill(os.Getpid(), syscall.Gettid(), syscall.SIGSTOP)
}

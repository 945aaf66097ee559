package process

import (
	"syscall"

	"golang.org/x/sys/windows"
)

// detached leaves the console and, where its owner allows that, the job of the starting process.
func detached() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{
		CreationFlags: windows.DETACHED_PROCESS | windows.CREATE_NEW_PROCESS_GROUP | windows.CREATE_BREAKAWAY_FROM_JOB,
	}
}

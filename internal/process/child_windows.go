package process

import (
	"os"
	"os/exec"

	"golang.org/x/sys/windows"
)

// awaitExit waits on a handle; the one in os.Process keeps the identifier from being used again.
func awaitExit(process *os.Process) {
	handle, err := windows.OpenProcess(windows.SYNCHRONIZE, false, uint32(process.Pid))
	if err != nil {
		return
	}
	defer windows.CloseHandle(handle)
	_, _ = windows.WaitForSingleObject(handle, windows.INFINITE)
}

func (*Result) addPlatform(*os.ProcessState) {}

// takeTerminal does nothing: there are no terminals of this kind.
func takeTerminal(*exec.Cmd) {}

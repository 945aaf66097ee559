package process

import (
	"errors"
	"strconv"
	"syscall"

	"golang.org/x/sys/windows"
)

// stillActive is STILL_ACTIVE of GetExitCodeProcess.
const stillActive = 259

func startOf(pid int) (string, error) {
	handle, err := windows.OpenProcess(windows.PROCESS_QUERY_LIMITED_INFORMATION, false, uint32(pid))
	if errors.Is(err, windows.ERROR_INVALID_PARAMETER) {
		return "", ErrGone
	}
	if err != nil {
		return "", err
	}
	defer windows.CloseHandle(handle)
	return startOfHandle(handle)
}

func startOfHandle(handle windows.Handle) (string, error) {
	var code uint32
	if err := windows.GetExitCodeProcess(handle, &code); err != nil {
		return "", err
	}
	if code != stillActive {
		return "", ErrGone
	}
	var created, exited, kernel, user windows.Filetime
	if err := windows.GetProcessTimes(handle, &created, &exited, &kernel, &user); err != nil {
		return "", err
	}
	return strconv.FormatInt(created.Nanoseconds(), 10), nil
}

// signalExactly ends the process for SIGKILL and SIGTERM, the only signals that mean something here.
func signalExactly(id Identity, signal syscall.Signal) error {
	if signal != syscall.SIGKILL && signal != syscall.SIGTERM {
		return errors.ErrUnsupported
	}
	handle, err := windows.OpenProcess(
		windows.PROCESS_TERMINATE|windows.PROCESS_QUERY_LIMITED_INFORMATION, false, uint32(id.PID))
	if err != nil {
		return ErrGone
	}
	defer windows.CloseHandle(handle)
	if start, err := startOfHandle(handle); err != nil || start != id.Start {
		return ErrGone
	}
	return windows.TerminateProcess(handle, 1)
}

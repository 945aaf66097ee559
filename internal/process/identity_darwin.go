package process

import (
	"errors"
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"
)

// isZombie is SZOMB of sys/proc.h.
const isZombie = 5

func startOf(pid int) (string, error) {
	info, err := unix.SysctlKinfoProc("kern.proc.pid", pid)
	if errors.Is(err, unix.EIO) || err == nil && (int(info.Proc.P_pid) != pid || info.Proc.P_stat == isZombie) {
		return "", ErrGone
	}
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%d.%06d", info.Proc.P_starttime.Sec, info.Proc.P_starttime.Usec), nil
}

func signalExactly(id Identity, signal syscall.Signal) error {
	if !Alive(id) {
		return ErrGone
	}
	return syscall.Kill(id.PID, signal)
}

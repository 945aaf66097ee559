package process

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// startOf includes the boot: machines that start alike give the same number at the same tick.
func startOf(pid int) (string, error) {
	s, err := readStat(pid)
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ESRCH) || err == nil && s.isDead() {
		return "", ErrGone
	}
	if err != nil {
		return "", err
	}
	boot, err := bootID()
	if err != nil {
		return "", err
	}
	return boot + "/" + s.start, nil
}

// bootID never changes while a process lives, and is read once.
var bootID = sync.OnceValues(func() (string, error) {
	text, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", fmt.Errorf("read boot: %w", err)
	}
	return strings.TrimSpace(string(text)), nil
})

// openExactly opens a descriptor of the process, and closes it again when it turns out to be of another.
func openExactly(id Identity, flags int) (int, error) {
	fd, err := unix.PidfdOpen(id.PID, flags)
	if errors.Is(err, unix.ESRCH) {
		return 0, ErrGone
	}
	if err != nil {
		return 0, fmt.Errorf("open process: %w", err)
	}
	if !Alive(id) {
		_ = unix.Close(fd)
		return 0, ErrGone
	}
	return fd, nil
}

func signalExactly(id Identity, signal syscall.Signal) error {
	fd, err := openExactly(id, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := unix.PidfdSendSignal(fd, signal, nil, 0); errors.Is(err, unix.ESRCH) {
		return ErrGone
	} else if err != nil {
		return err
	}
	return nil
}

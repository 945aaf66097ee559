package process

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// createGroup prefers a cgroup, of which nothing escapes.
func createGroup(GroupOptions) (group, error) {
	if c, err := newCgroup(); err == nil {
		return c, nil
	}
	return newMarked(randomName()), nil
}

func openGroup(options GroupOptions) (group, error) {
	kind, name, err := splitHandle(options.Handle)
	if err != nil {
		return nil, err
	}
	switch kind {
	case "cgroup":
		return &cgroup{dir: name}, nil
	case "marked":
		return newMarked(name), nil
	}
	return nil, fmt.Errorf("process group %q: unknown kind", options.Handle)
}

// ownSession makes the process a leader of a session and thereby of a process group, without a terminal that a
// password prompt could wait on.
func ownSession() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }

// signalMembers signals each member through a descriptor, and only those that still are members once it is open, so
// that a number which was used again in between is spared.
func signalMembers(members func() ([]int, error), signal syscall.Signal) error {
	listed, err := members()
	if err != nil || len(listed) == 0 {
		return err
	}
	descriptors := openMembers(listed)
	defer closeMembers(descriptors)
	confirmed, err := members()
	if err != nil {
		return err
	}
	for _, pid := range confirmed {
		if fd, ok := descriptors[pid]; ok {
			_ = unix.PidfdSendSignal(fd, signal, nil, 0)
		}
	}
	return nil
}

func openMembers(pids []int) map[int]int {
	descriptors := make(map[int]int, len(pids))
	for _, pid := range pids {
		if fd, err := unix.PidfdOpen(pid, 0); err == nil {
			descriptors[pid] = fd
		}
	}
	return descriptors
}

func closeMembers(descriptors map[int]int) {
	for _, fd := range descriptors {
		_ = unix.Close(fd)
	}
}

// processNumbers lists the directories of /proc that are processes.
func processNumbers() ([]int, error) {
	dir, err := os.Open("/proc")
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	var numbers []int
	for _, name := range names {
		if pid, err := strconv.Atoi(name); err == nil {
			numbers = append(numbers, pid)
		}
	}
	return numbers, nil
}

// parseNumbers reads one number a line.
func parseNumbers(text string) []int {
	var numbers []int
	for field := range strings.FieldsSeq(text) {
		if n, err := strconv.Atoi(field); err == nil {
			numbers = append(numbers, n)
		}
	}
	return numbers
}

package process

import (
	"fmt"
	"os"
	"slices"
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

// mostLooks bounds how often a group is looked at for members that were forked since: one whose members fork faster than
// they are told is not told as a whole.
const mostLooks = 16

// signalMembers signals each member once. A member may fork between a look and its signal, so it looks again until
// nobody is new.
func signalMembers(members func() ([]int, error), signal syscall.Signal) error {
	told := make(map[int]bool)
	for range mostLooks {
		listed, err := members()
		if err != nil {
			return err
		}
		unaware := slices.DeleteFunc(listed, func(pid int) bool { return told[pid] })
		if len(unaware) == 0 {
			return nil
		}
		if err := signalThose(unaware, members, signal); err != nil {
			return err
		}
		for _, pid := range unaware {
			told[pid] = true
		}
	}
	return nil
}

// signalThose signals through descriptors, and only those that still are members once these are open, so that a number
// which was used again in between is spared.
func signalThose(pids []int, members func() ([]int, error), signal syscall.Signal) error {
	descriptors := openMembers(pids)
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

package process

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// errNoCgroup means that this process may not make cgroups.
var errNoCgroup = errors.New("no writable cgroup")

// cgroup is a group held together by a cgroup of version 2 below our own (Documentation/admin-guide/cgroup-v2.rst of
// the kernel). Only membership is used, no controller, so that hybrid machines have it too.
type cgroup struct{ dir string }

func newCgroup() (*cgroup, error) {
	parent, err := ownCgroup()
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(parent, fmt.Sprintf("process-%d-%s", os.Getpid(), randomName()))
	if err := os.Mkdir(dir, 0o755); err != nil {
		return nil, fmt.Errorf("%w: %w", errNoCgroup, err)
	}
	return &cgroup{dir: dir}, nil
}

// ownCgroup is the directory of the cgroup that this process is in.
func ownCgroup() (string, error) {
	membership, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return "", err
	}
	mounted, err := unifiedMount()
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(membership)) {
		path, isUnified := strings.CutPrefix(strings.TrimSpace(line), "0::")
		if !isUnified {
			continue
		}
		relative, err := filepath.Rel(mounted.root, path)
		if err == nil && filepath.IsLocal(relative) {
			return filepath.Join(mounted.point, relative), nil
		}
	}
	return "", errNoCgroup
}

// mount is where a file system is mounted, and which of its directories is seen there.
type mount struct{ root, point string }

// unifiedMount is where version 2 is mounted. It is a fact of the machine, read once: the kernel takes longer to list
// the mounts than to make a cgroup.
var unifiedMount = sync.OnceValues(func() (mount, error) {
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return mount{}, err
	}
	return findUnified(string(mounts))
})

// findUnified reads the format of proc_pid_mountinfo(5).
func findUnified(mountinfo string) (mount, error) {
	for line := range strings.Lines(mountinfo) {
		before, after, _ := strings.Cut(line, " - ")
		fields := strings.Fields(before)
		if strings.HasPrefix(after, "cgroup2 ") && len(fields) > 4 {
			return mount{root: fields[3], point: fields[4]}, nil
		}
	}
	return mount{}, errNoCgroup
}

func (c *cgroup) handle() string { return "cgroup:" + c.dir }

func (c *cgroup) fallback() group { return newMarked(randomName()) }

func (c *cgroup) started(*os.Process) error { return nil }

// attach has the process born inside the cgroup (CLONE_INTO_CGROUP): moving it in later would be slow, and late.
func (c *cgroup) attach(cmd *exec.Cmd) (func(), error) {
	fd, err := unix.Open(c.dir, unix.O_DIRECTORY|unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open cgroup: %w", err)
	}
	cmd.SysProcAttr = ownSession()
	cmd.SysProcAttr.UseCgroupFD, cmd.SysProcAttr.CgroupFD = true, fd
	return func() { _ = unix.Close(fd) }, nil
}

func (c *cgroup) signal(signal syscall.Signal) error { return signalMembers(c.members, signal) }

// members lists the processes of the cgroup and of those below it.
func (c *cgroup) members() ([]int, error) {
	var pids []int
	for _, dir := range c.tree() {
		text, err := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
		if err != nil && !isGone(err) {
			return nil, fmt.Errorf("list cgroup: %w", err)
		}
		pids = append(pids, parseNumbers(string(text))...)
	}
	return pids, nil
}

// tree lists the cgroup and those below it, parents first.
func (c *cgroup) tree() []string {
	var dirs []string
	_ = filepath.WalkDir(c.dir, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() {
			dirs = append(dirs, path)
		}
		return nil // what vanishes under way needs no visit
	})
	return dirs
}

// empty sleeps on cgroup.events, which the kernel marks when the last process has ended.
func (c *cgroup) empty(limit time.Duration) bool {
	events, err := unix.Open(filepath.Join(c.dir, "cgroup.events"), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return isGone(err)
	}
	defer unix.Close(events)
	buffer := make([]byte, 256)
	for deadline := time.Now().Add(limit); ; {
		n, err := unix.Pread(events, buffer, 0)
		if err != nil {
			return isGone(err)
		}
		if strings.Contains(string(buffer[:n]), "populated 0") {
			return true
		}
		remaining := time.Until(deadline)
		if remaining <= 0 {
			return false
		}
		_, _ = unix.Poll([]unix.PollFd{{Fd: int32(events), Events: unix.POLLPRI}}, int(remaining.Milliseconds())+1)
	}
}

// kill first tries to remove the cgroup, which succeeds when nothing was left behind: the common case is one call.
func (c *cgroup) kill() error {
	if err := unix.Rmdir(c.dir); err == nil || isGone(err) {
		return nil
	}
	for deadline := time.Now().Add(killLimit); ; {
		if err := c.killOnce(); err != nil {
			return err
		}
		if c.empty(100 * time.Millisecond) {
			return c.remove()
		}
		if time.Now().After(deadline) {
			pids, _ := c.members()
			return fmt.Errorf("%w: processes %v", ErrLeftBehind, pids)
		}
	}
}

// killOnce uses cgroup.kill, and before Linux 5.14, which brought it, a signal to each.
func (c *cgroup) killOnce() error {
	err := os.WriteFile(filepath.Join(c.dir, "cgroup.kill"), []byte("1"), 0)
	if err == nil {
		return nil
	}
	if err := signalMembers(c.members, syscall.SIGKILL); err != nil {
		return fmt.Errorf("kill cgroup: %w", err)
	}
	return nil
}

// remove takes the tree away from its leaves.
func (c *cgroup) remove() error {
	for _, dir := range slices.Backward(c.tree()) {
		if err := unix.Rmdir(dir); err != nil && !isGone(err) {
			return fmt.Errorf("remove cgroup %s: %w", dir, err)
		}
	}
	return nil
}

// isGone also knows ENODEV, which files of a removed cgroup answer.
func isGone(err error) bool { return errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENODEV) }

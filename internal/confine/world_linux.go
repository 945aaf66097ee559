package confine

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Clone are the namespaces in which the helper of a world is to be started (clone(2)).
func (w *World) Clone() uintptr {
	if w == nil {
		return 0
	}
	flags := uintptr(unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWIPC)
	if w.NoNetwork {
		flags |= unix.CLONE_NEWNET
	}
	return flags
}

// tree is a folder that has its place in the world.
type tree struct {
	path string
	fd   int // of a mount that is nowhere yet
}

// make turns this process's mounts, which are copies of the machine's, into the world. Who has no rights cannot take one of
// them away to see what is beneath, not even in a user namespace of their own (mount_namespaces(7)).
func (w *World) make() error {
	former := unix.Umask(0o022) // folders on the way are for everybody
	defer unix.Umask(former)
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("part from the machine's mounts: %w", err)
	}
	trees, err := w.trees()
	if err != nil {
		return err
	}
	temporary, err := w.temporary(trees)
	if err != nil {
		return err
	}
	if err := unix.MountSetattr(unix.AT_FDCWD, "/", unix.AT_RECURSIVE, &unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY | unix.MOUNT_ATTR_NOSUID}); err != nil {
		return fmt.Errorf("make the file system read-only: %w", err)
	}
	if err := errors.Join(makeSystem(), temporary(), w.hide()); err != nil {
		return err
	}
	for _, t := range trees {
		if err := t.place(); err != nil {
			return err
		}
	}
	if w.NoNetwork {
		if err := raiseLoopback(); err != nil {
			return err
		}
	}
	return w.closeHidden()
}

// trees takes hold of the folders while they can be reached, those above others first. What is below a writable one is to
// be seen with it.
func (w *World) trees() (all []tree, err error) {
	add := func(paths []string, more uint64) {
		for _, path := range paths {
			if err != nil || w.isWithin(path) {
				continue
			}
			var t tree
			t, err = openTree(path, unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NODEV|more)
			all = append(all, t)
		}
	}
	slices.Sort(w.Writable)
	w.Writable = slices.Compact(w.Writable)
	add(w.Writable, 0)
	add(w.ReadOnly, unix.MOUNT_ATTR_RDONLY)
	slices.SortFunc(all, func(a, b tree) int { return strings.Compare(a.path, b.path) })
	return all, err
}

func (w *World) isWithin(path string) bool {
	return slices.ContainsFunc(w.Writable, func(dir string) bool { return strings.HasPrefix(path, dir+"/") })
}

func openTree(path string, attributes uint64) (tree, error) {
	fd, err := unix.OpenTree(unix.AT_FDCWD, path, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
	if err != nil {
		return tree{}, fmt.Errorf("take hold of %s: %w", path, err)
	}
	if err := unix.MountSetattr(fd, "", unix.AT_EMPTY_PATH, &unix.MountAttr{Attr_set: attributes}); err != nil {
		return tree{}, fmt.Errorf("protect %s: %w", path, err)
	}
	return tree{path: path, fd: fd}, nil
}

// place mounts it, on a folder that is made where what is above it is hidden.
func (t tree) place() error {
	if err := os.MkdirAll(t.path, 0o755); err != nil {
		return fmt.Errorf("make a place for %s: %w", t.path, err)
	}
	if err := unix.MoveMount(t.fd, "", unix.AT_FDCWD, t.path, unix.MOVE_MOUNT_F_EMPTY_PATH); err != nil {
		return fmt.Errorf("mount %s: %w", t.path, err)
	}
	return unix.Close(t.fd)
}

// temporary takes hold of the folder for temporary files, and answers how to mount it.
//
// It is memory where something else has its place below: that would leave its traces in the folder.
func (w *World) temporary(others []tree) (mount func() error, err error) {
	var mounts []func() error
	for _, path := range []string{"/tmp", "/var/tmp"} {
		isAbove := slices.ContainsFunc(others, func(t tree) bool { return strings.HasPrefix(t.path, path+"/") })
		if !isFolder(path) || w.Temporary == "" || isAbove {
			mounts = append(mounts, func() error { return mountMemory(path, "mode=1777") })
			continue
		}
		t, err := openTree(w.Temporary, unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NODEV)
		if err != nil {
			return nil, err
		}
		mounts = append(mounts, tree{path: path, fd: t.fd}.place)
	}
	return func() error {
		var failed error
		for _, mount := range mounts {
			failed = errors.Join(failed, mount())
		}
		return failed
	}, nil
}

// makeSystem mounts what shows this world's own processes, memory and terminals.
func makeSystem() error {
	if err := unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("mount /proc: %w", err)
	}
	if isFolder("/dev/pts") {
		if err := unix.Mount("devpts", "/dev/pts", "devpts", unix.MS_NOSUID|unix.MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0620"); err != nil {
			return fmt.Errorf("mount /dev/pts: %w", err)
		}
	}
	return mountMemory("/dev/shm", "mode=1777")
}

// mountMemory mounts files that are kept in memory, where there is such a folder.
func mountMemory(path, options string) error {
	if !isFolder(path) {
		return nil
	}
	if err := unix.Mount("tmpfs", path, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, options); err != nil {
		return fmt.Errorf("mount %s: %w", path, err)
	}
	return nil
}

func (w *World) hide() error {
	for _, path := range w.Hidden {
		if err := mountMemory(path, "mode=0755,size=1m"); err != nil {
			return err
		}
	}
	return nil
}

// closeHidden is done once everything has its place there.
func (w *World) closeHidden() error {
	for _, path := range w.Hidden {
		err := unix.MountSetattr(unix.AT_FDCWD, path, 0, &unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY})
		if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, unix.EINVAL) { // it is below /tmp, and was gone before
			return fmt.Errorf("close %s: %w", path, err)
		}
	}
	return nil
}

func isFolder(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// raiseLoopback switches the one interface on that a new network has (netdevice(7)).
func raiseLoopback() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("switch the loopback on: %w", err)
	}
	defer unix.Close(fd)
	request, err := unix.NewIfreq("lo")
	if err != nil {
		return fmt.Errorf("switch the loopback on: %w", err)
	}
	request.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, request); err != nil {
		return fmt.Errorf("switch the loopback on: %w", err)
	}
	return nil
}

// Closed answers the topmost folder on the way to path through which others than its owner cannot go, or "".
func Closed(path string) string {
	dir := "/"
	for part := range strings.SplitSeq(strings.TrimPrefix(path, "/"), "/") {
		dir = filepath.Join(dir, part)
		if info, err := os.Stat(dir); err == nil && info.Mode()&0o001 == 0 {
			return dir
		}
	}
	return ""
}

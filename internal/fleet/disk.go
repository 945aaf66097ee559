//go:build linux

package fleet

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// diskSize is what a host's disk holds, in bytes, besides the base. The file that it is takes what is written only.
const diskSize = 1 << 30

// How ext4 is told to stop at once (fs/ext4/ext4.h: EXT4_IOC_SHUTDOWN, EXT4_GOING_FLAGS_NOLOGFLUSH).
const (
	ioctlShutDown   = 0x8004587d
	withoutFlushing = 2
)

// throttle is where the kernel is told how fast a device may be written by anybody (control group blkio of version 1). It is the
// group above all others: what was only written into memory is brought to the disk by the kernel, which is in none below.
const throttle = "/sys/fs/cgroup/blkio/blkio.throttle.write_bps_device"

// disk is a real file system in a file, above which a host sees the base: what a host writes is on it.
type disk struct {
	base  string // folder below, never written
	image string // the file
	at    string // where it is mounted: upper and work are the overlay's
	root  string // where the host's root is
}

func newDisk(base, dir string) disk {
	return disk{base: base, image: filepath.Join(dir, "disk"), at: filepath.Join(dir, "mounted"), root: filepath.Join(dir, "root")}
}

// make makes an empty disk, and mounts it.
func (d disk) make(ctx context.Context) error {
	for _, folder := range []string{d.at, d.root} {
		if err := os.MkdirAll(folder, 0o755); err != nil {
			return err
		}
	}
	if err := errors.Join(os.WriteFile(d.image, nil, 0o600), os.Truncate(d.image, diskSize)); err != nil {
		return err
	}
	if err := run(ctx, "mkfs.ext4", "-q", "-m", "0", "-E", "lazy_itable_init=1,lazy_journal_init=1", d.image); err != nil {
		return err
	}
	return d.mount(ctx)
}

// mount mounts the disk, replaying its journal where the power was cut, and the root above it.
func (d disk) mount(ctx context.Context) error {
	if err := run(ctx, "mount", "-o", "loop", d.image, d.at); err != nil {
		return err
	}
	if isThere(throttle) { // a test that was killed may have left the device slow
		if err := d.slow(0); err != nil {
			return err
		}
	}
	upper, work := filepath.Join(d.at, "upper"), filepath.Join(d.at, "work")
	for _, folder := range []string{upper, work} {
		if err := os.MkdirAll(folder, 0o755); err != nil {
			return err
		}
	}
	return unix.Mount("overlay", d.root, "overlay", 0, fmt.Sprintf("lowerdir=%s,upperdir=%s,workdir=%s", d.base, upper, work))
}

// slow lets the disk be written with so many bytes a second; 0 is as fast as it is.
func (d disk) slow(bytes int) error {
	var at unix.Stat_t
	if err := unix.Stat(d.at, &at); err != nil {
		return err
	}
	line := fmt.Sprintf("%d:%d %d", unix.Major(at.Dev), unix.Minor(at.Dev), bytes)
	if err := os.WriteFile(throttle, []byte(line), 0); err != nil {
		return fmt.Errorf("a slow disk needs the control group blkio of version 1: %w", err)
	}
	return nil
}

// sync makes what was written survive a cut.
func (d disk) sync() error {
	folder, err := os.Open(d.at)
	if err != nil {
		return err
	}
	return errors.Join(unix.Syncfs(int(folder.Fd())), folder.Close())
}

// cut loses what was written and not synced, as when the power goes. Nothing may run on the disk any more.
func (d disk) cut() error {
	folder, err := os.Open(d.at)
	if err != nil {
		return err
	}
	err = unix.IoctlSetPointerInt(int(folder.Fd()), ioctlShutDown, withoutFlushing)
	return errors.Join(err, folder.Close(), d.unmount())
}

func (d disk) unmount() error {
	return errors.Join(unix.Unmount(d.root, 0), unix.Unmount(d.at, 0))
}

// FillDisk leaves no room on the host's disk, until the answered function is called.
func (h *Host) FillDisk() (room func()) {
	h.fleet.t.Helper()
	ballast := filepath.Join(h.disk.at, "ballast")
	h.must("fill the disk", fill(ballast))
	return func() {
		h.fleet.t.Helper()
		h.must("make room on the disk", os.Remove(ballast))
	}
}

// SlowDisk has the host's disk take no more than so many bytes a second, until the answered function is called. What is written
// into memory is as fast as ever; what waits for the disk waits, and cannot be killed meanwhile.
func (h *Host) SlowDisk(bytes int) (fast func()) {
	h.fleet.t.Helper()
	h.must("slow the disk down", h.disk.slow(bytes))
	return func() {
		h.fleet.t.Helper()
		h.must("speed the disk up", h.disk.slow(0))
	}
}

// fill makes a file that takes all the room there is.
func fill(path string) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	for offset, size := int64(0), int64(diskSize); size > 0; {
		switch err = unix.Fallocate(int(file.Fd()), 0, offset, size); {
		case err == nil:
			offset += size
		case errors.Is(err, unix.ENOSPC):
			size /= 2
		case !errors.Is(err, unix.EINTR):
			return errors.Join(err, file.Close())
		}
	}
	return file.Close()
}

// awaitGone waits until the machine has let go of the file: a namespace that just ended can hold it a moment longer.
func (d disk) awaitGone(ctx context.Context) error {
	file, err := os.Stat(d.image)
	if err != nil {
		return err
	}
	return until(ctx, stopLimit, "the disk is let go of", func() bool { return !isAttached(file) })
}

// isAttached says that a loop device has a file.
func isAttached(file os.FileInfo) bool {
	devices, _ := filepath.Glob("/sys/block/loop*/loop/backing_file")
	for _, device := range devices {
		path, err := os.ReadFile(device)
		if err != nil {
			continue
		}
		if backing, err := os.Stat(strings.TrimSpace(string(path))); err == nil && os.SameFile(file, backing) {
			return true
		}
	}
	return false
}

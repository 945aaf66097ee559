package confine

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"
)

// inWorld is the first process of its namespaces, with which all others end. It makes the world, runs the command in it,
// and answers the command's status as a shell would.
func (o *Order) inWorld(tell *os.File) (int, error) {
	var stopping atomic.Bool
	o.passSignals(&stopping)
	main, err := o.startInside()
	if err != nil {
		return 0, err
	}
	_ = tell.Close()
	return await(main, &stopping), nil
}

// passSignals learns that an end was asked for: then everybody gets their time. In version 2 of control groups the
// command's processes are not in the group that whoever asks tells, so that they are told here.
func (o *Order) passSignals(stopping *atomic.Bool) {
	asked := make(chan os.Signal, 8)
	signal.Notify(asked, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGQUIT)
	go func() {
		for s := range asked {
			stopping.Store(true)
			if number, ok := s.(syscall.Signal); ok && o.World.Cell.Dir != "" {
				_ = syscall.Kill(-1, number) // everybody but this process
			}
		}
	}()
}

// startInside has a thread of its own enter the cell, from which the command is then born: so this process, which may
// need more threads at any time, is in no cell that may be full.
func (o *Order) startInside() (pid int, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // never unlocked: the thread ends with this goroutine
		if syscall.Gettid() == os.Getpid() {
			pid, err = o.startInside() // the first thread would stay
			return
		}
		pid, err = o.startOnThread()
	}()
	<-done
	return pid, err
}

func (o *Order) startOnThread() (int, error) {
	attributes := &syscall.SysProcAttr{Setsid: true, Credential: &syscall.Credential{
		Uid: uint32(o.UID), Gid: uint32(o.GID), Groups: numbers(o.Groups),
	}}
	for _, tasks := range o.World.Cell.Tasks {
		if err := os.WriteFile(tasks, []byte("0"), 0); err != nil { // 0 is the thread that writes (cgroup-v1/cgroups.rst)
			return 0, fmt.Errorf("enter the control group: %w", err)
		}
	}
	if dir := o.World.Cell.Dir; dir != "" {
		fd, err := unix.Open(dir, unix.O_DIRECTORY|unix.O_PATH|unix.O_CLOEXEC, 0)
		if err != nil {
			return 0, fmt.Errorf("enter the control group: %w", err)
		}
		attributes.UseCgroupFD, attributes.CgroupFD = true, fd
	}
	if err := errors.Join(o.World.make(), o.writeScript(), gainNothing()); err != nil {
		return 0, err
	}
	streams := []uintptr{0, 1, 2}
	if o.Terminal {
		terminal, err := o.openTerminal()
		if err != nil {
			return 0, err
		}
		defer terminal.Close()
		attributes.Setctty, attributes.Ctty = true, 0
		streams = []uintptr{terminal.Fd(), terminal.Fd(), terminal.Fd()}
	}
	pid, err := syscall.ForkExec(o.Path, o.Args, &syscall.ProcAttr{Dir: o.Dir, Env: o.Env, Files: streams, Sys: attributes})
	if err != nil {
		return 0, fmt.Errorf("start %s in %s: %w", filepath.Base(o.Path), o.Dir, err)
	}
	return pid, nil
}

func numbers(groups []int) []uint32 {
	all := make([]uint32, len(groups))
	for i, group := range groups {
		all[i] = uint32(group)
	}
	return all
}

// await reaps whoever ends, until the command did; where an end was asked for, until everybody did.
func await(main int, stopping *atomic.Bool) int {
	code := 0
	for ended := false; !ended || stopping.Load(); {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, 0, nil)
		switch {
		case errors.Is(err, syscall.EINTR):
		case err != nil: // nobody is left
			return code
		case pid == main:
			ended, code = true, statusOf(status)
		}
	}
	return code
}

// statusOf is what a shell says of a child (POSIX.1-2017, Shell Command Language, 2.8.2).
func statusOf(s syscall.WaitStatus) int {
	if s.Signaled() {
		return 128 + int(s.Signal())
	}
	return s.ExitStatus()
}

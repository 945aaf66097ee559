package process

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// ErrLeftBehind means that something of a group outlived its kill, such as a process in an uninterruptible wait.
var ErrLeftBehind = errors.New("left behind")

// killLimit is how long a killed group may take to vanish.
const killLimit = 10 * time.Second

// GroupOptions says how a process and its descendants are held together. The zero value is right for most.
type GroupOptions struct {
	// Interrupt is the signal that asks for an end; 0 means SIGTERM. Windows knows only a console break.
	Interrupt syscall.Signal
	// Handle is a group reserved with ReserveGroup; empty means a new one.
	Handle string
	// Outlive keeps the group alive on Windows when this process dies; elsewhere it always stays alive.
	Outlive bool
}

func (o GroupOptions) interrupt() syscall.Signal {
	if o.Interrupt == 0 {
		return syscall.SIGTERM
	}
	return o.Interrupt
}

// group holds a process and its descendants together. Its methods may be called in any order and more than once.
type group interface {
	// handle is the name by which openGroup finds the group again.
	handle() string
	// attach makes cmd start inside the group; release frees what only the start needed.
	attach(cmd *exec.Cmd) (release func(), err error)
	// started tells the group of its leader.
	started(leader *os.Process) error
	// fallback is the group to use where the kernel does not start a process in this one, or nil.
	fallback() group
	// signal asks every member.
	signal(signal syscall.Signal) error
	// empty waits up to limit for the last member to end, and says whether it has.
	empty(limit time.Duration) bool
	// kill ends every member, waits until all are gone, and gives back what the group held.
	kill() error
}

// ReserveGroup makes a group to be named in GroupOptions.Handle, so that its name can be written down before
// anything runs in it. A group that is not used is given back with KillGroup.
func ReserveGroup() (string, error) {
	g, err := newGroup(GroupOptions{})
	if err != nil {
		return "", err
	}
	return g.handle(), nil
}

// KillGroup ends everything in a group, whoever started it, and gives the group back. A group that is gone is no
// error.
func KillGroup(handle string) error {
	g, err := openGroup(GroupOptions{Handle: handle})
	if err != nil {
		return err
	}
	return g.kill()
}

func newGroup(options GroupOptions) (group, error) {
	if options.Handle != "" {
		return openGroup(options)
	}
	return createGroup(options)
}

// splitHandle takes "kind:name" apart.
func splitHandle(handle string) (kind, name string, err error) {
	kind, name, found := strings.Cut(handle, ":")
	if !found || name == "" {
		return "", "", fmt.Errorf("process group %q: unknown form", handle)
	}
	return kind, name, nil
}

func randomName() string { return strings.ToLower(rand.Text()) }

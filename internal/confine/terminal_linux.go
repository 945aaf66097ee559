package confine

import (
	"errors"
	"fmt"
	"os"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"
)

// line is the descriptor by which the helper hands a terminal's other end out, where there is to be one.
const line = complaints + 1

// newLine is a pair of sockets, over which a file can travel (unix(7), SCM_RIGHTS).
func newLine() (near, far *os.File, err error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("make a pair of sockets: %w", err)
	}
	return os.NewFile(uintptr(pair[0]), "line"), os.NewFile(uintptr(pair[1]), "line"), nil
}

// receive takes one file.
func receive(from *os.File) (*os.File, error) {
	rights := make([]byte, unix.CmsgSpace(4))
	_, n, _, _, err := unix.Recvmsg(int(from.Fd()), make([]byte, 1), rights, unix.MSG_CMSG_CLOEXEC)
	if err != nil {
		return nil, err
	}
	messages, err := unix.ParseSocketControlMessage(rights[:n])
	if err != nil || len(messages) == 0 {
		return nil, errors.Join(err, errors.New("none came"))
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil || len(fds) == 0 {
		return nil, errors.Join(err, errors.New("none came"))
	}
	if err := unix.SetNonblock(fds[0], true); err != nil { // so that closing it ends a read
		return nil, errors.Join(err, unix.Close(fds[0]))
	}
	return os.NewFile(uintptr(fds[0]), "terminal"), nil
}

// openTerminal makes a terminal of the world that this process is in, hands out its other end, and gives it to the command's
// user: it has a name there, by which programs open it anew.
func (o *Order) openTerminal() (*os.File, error) {
	other, terminal, err := pty.Open()
	if err != nil {
		return nil, fmt.Errorf("open a terminal: %w", err)
	}
	defer other.Close()
	if err := errors.Join(terminal.Chown(o.UID, o.GID), terminal.Chmod(0o600)); err != nil {
		return nil, fmt.Errorf("give the terminal to its user: %w", err)
	}
	err = unix.Sendmsg(line, []byte{0}, unix.UnixRights(int(other.Fd())), nil, 0)
	if err = errors.Join(err, unix.Close(line)); err != nil {
		return nil, fmt.Errorf("hand the terminal out: %w", err)
	}
	return terminal, nil
}

// takeTerminal makes a terminal this process's streams, and the one of its session, at the head of which it is.
func takeTerminal(terminal *os.File) error {
	for fd := range 3 {
		if err := unix.Dup2(int(terminal.Fd()), fd); err != nil {
			return fmt.Errorf("take the terminal: %w", err)
		}
	}
	if err := unix.IoctlSetInt(0, unix.TIOCSCTTY, 0); err != nil {
		return fmt.Errorf("take the terminal: %w", err)
	}
	return nil
}

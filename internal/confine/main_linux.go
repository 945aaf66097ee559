package confine

import (
	"encoding/gob"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/towpath-cd/towpath/internal/process"
)

// complaints is the descriptor that the helper tells its errors on. It is closed when the command runs.
const complaints = 3

// Main is the helper. It answers the exit code of the process, or never returns.
func Main() int {
	unix.CloseOnExec(complaints)
	unix.CloseOnExec(line) // where there is one
	tell := os.NewFile(complaints, "complaints")
	code, err := carryOut(tell)
	if err != nil {
		fmt.Fprintln(tell, err)
		return 1
	}
	return code
}

func carryOut(tell *os.File) (int, error) {
	var o Order
	if err := gob.NewDecoder(os.Stdin).Decode(&o); err != nil {
		return 0, fmt.Errorf("read what is to be confined: %w", err)
	}
	o.Env = append(o.Env, os.Environ()...) // of the helper: how its process group is known
	if err := o.takeStreams(); err != nil {
		return 0, err
	}
	if o.World == nil {
		return 0, o.become()
	}
	return o.inWorld(tell)
}

// takeStreams empties the input, and gives the output to the command's user: /dev/stdout is opened anew by many a script.
func (o *Order) takeStreams() error {
	null, err := unix.Open(os.DevNull, unix.O_RDONLY, 0)
	if err != nil {
		return fmt.Errorf("open %s: %w", os.DevNull, err)
	}
	if err := unix.Dup2(null, 0); err != nil {
		return fmt.Errorf("empty the standard input: %w", err)
	}
	_ = unix.Close(null)
	for fd := 1; fd <= 2; fd++ {
		var s unix.Stat_t
		if err := unix.Fstat(fd, &s); err != nil || s.Mode&unix.S_IFMT != unix.S_IFIFO {
			continue // only a pipe is this command's alone
		}
		if err := unix.Fchown(fd, o.UID, o.GID); err != nil {
			return fmt.Errorf("give the output to its user: %w", err)
		}
	}
	return nil
}

// become turns this process into the command. It returns only with an error.
func (o *Order) become() error {
	runtime.LockOSThread() // rights and files are those of a thread
	if o.GivesWay {
		process.GiveWay(0)
	}
	if err := o.writeScript(); err != nil {
		return err
	}
	if o.Terminal {
		terminal, err := o.openTerminal()
		if err == nil {
			err = takeTerminal(terminal)
		}
		if err != nil {
			return err
		}
	}
	if err := errors.Join(syscall.Setgroups(o.Groups), syscall.Setresgid(o.GID, o.GID, o.GID), syscall.Setresuid(o.UID, o.UID, o.UID)); err != nil {
		return fmt.Errorf("become user %d: %w", o.UID, err)
	}
	if err := gainNothing(); err != nil {
		return err
	}
	if err := os.Chdir(o.Dir); err != nil {
		return fmt.Errorf("enter the workspace: %w", err)
	}
	return fmt.Errorf("start %s: %w", o.Path, syscall.Exec(o.Path, o.Args, o.Env))
}

// gainNothing keeps the calling thread, and what it starts, from rights by setuid files (prctl(2), PR_SET_NO_NEW_PRIVS).
func gainNothing() error {
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("keep the command from other rights: %w", err)
	}
	return nil
}

// writeScript acts as the user for files only (setfsuid(2)): the folder is theirs, and may hold links that lead anywhere. The
// calling goroutine has its thread for itself.
func (o *Order) writeScript() error {
	if o.Script.Path == "" {
		return nil
	}
	if err := errors.Join(unix.Setfsgid(o.GID), unix.Setfsuid(o.UID)); err != nil {
		return fmt.Errorf("write the script: %w", err)
	}
	defer func() { _ = errors.Join(unix.Setfsuid(0), unix.Setfsgid(0)) }()
	if err := os.MkdirAll(filepath.Dir(o.Script.Path), 0o700); err != nil {
		return fmt.Errorf("write the script: %w", err)
	}
	if err := os.WriteFile(o.Script.Path, []byte(o.Script.Text), 0o600); err != nil {
		return fmt.Errorf("write the script: %w", err)
	}
	return nil
}

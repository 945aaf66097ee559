package process

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// ErrGone means that a process has ended, even if its number is in use again.
var ErrGone = errors.New("process is gone")

// Identity names one process for good, also after its number was used again and after the machine was restarted.
type Identity struct {
	PID int `json:"pid"`
	// Start is when the process started, in a form of the platform's own that is only compared.
	Start string `json:"start"`
}

// Self names this process.
func Self() (Identity, error) { return Of(os.Getpid()) }

// Of names the process that now has a number. The error is ErrGone when there is none.
func Of(pid int) (Identity, error) {
	start, err := startOf(pid)
	if err != nil {
		return Identity{}, fmt.Errorf("identify process %d: %w", pid, err)
	}
	return Identity{PID: pid, Start: start}, nil
}

// Alive says whether a process still runs. One that has ended and was not yet reaped does not.
func Alive(id Identity) bool {
	if id.PID <= 0 || id.Start == "" {
		return false
	}
	now, err := Of(id.PID)
	return err == nil && now == id
}

// Signal signals one process, never another that has taken its number. The error is ErrGone when it has ended.
func Signal(id Identity, signal syscall.Signal) error {
	if err := signalExactly(id, signal); err != nil {
		return fmt.Errorf("signal process %d: %w", id.PID, err)
	}
	return nil
}

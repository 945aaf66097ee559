package supervise

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/towpath-cd/towpath/internal/process"
)

// Status is what an instance is doing.
type Status string

// Every Status.
const (
	// StatusStarting: its port is waited for, or its process is about to start.
	StatusStarting Status = "starting"
	// StatusRunning: its process runs. Whether it serves is for a probe to say.
	StatusRunning Status = "running"
	// StatusBackingOff: it ended by itself, and will be started again.
	StatusBackingOff Status = "backing-off"
	// StatusFailed: it cannot be started, for the reason given; it is tried again.
	StatusFailed Status = "failed"
	// StatusStopping: it was asked to end.
	StatusStopping Status = "stopping"
	// StatusStopped: it was stopped by an order, and nothing of it runs.
	StatusStopped Status = "stopped"
)

// Statuses lists every Status.
func Statuses() []Status {
	return []Status{
		StatusStarting, StatusRunning, StatusBackingOff, StatusFailed, StatusStopping, StatusStopped,
	}
}

// State is what a supervisor knows of its instance.
type State struct {
	Status Status `json:"status"`
	// Reason says in words why the status is not running.
	Reason string `json:"reason,omitempty"`
	// Holder is who listens on the instance's port while that is waited for.
	Holder *process.Holder `json:"holder,omitempty"`
	// Since is when the status began.
	Since time.Time `json:"since"`
	// Child is the instance's process, zero while there is none; ChildSince is when it was started.
	Child      process.Identity `json:"child"`
	ChildSince time.Time        `json:"child_since,omitzero"`
	// Group holds the child with all that it started.
	Group string `json:"group,omitempty"`
	// Supervisor is who wrote this.
	Supervisor process.Identity `json:"supervisor"`
	// Restarts counts how often the instance was started after the first time, for whatever reason.
	Restarts int `json:"restarts"`
	// Failures counts the ends since the last run that lasted.
	Failures int `json:"failures"`
	// LastExit is how the process ended last, nil while it never has.
	LastExit *Exit `json:"last_exit,omitempty"`
	// Restart names the last ordered restart that was carried out.
	Restart string `json:"restart,omitempty"`
	// Epoch is that of the last order.
	Epoch Epoch `json:"epoch"`
}

// Exit is how a process ended.
type Exit struct {
	// Code is the exit code, -1 when a signal ended the process or when nobody saw how it ended.
	Code    int            `json:"code"`
	Signal  syscall.Signal `json:"signal,omitempty"`
	Unknown bool           `json:"unknown,omitempty"`
	// Killed says that it was told to end, and did not in its time.
	Killed bool      `json:"killed,omitempty"`
	At     time.Time `json:"at"`
}

// readState returns what is written, the zero State before the first.
func readState(dir string) (State, error) {
	var s State
	if err := readJSON(filepath.Join(dir, stateFile), &s); err != nil && !errors.Is(err, os.ErrNotExist) {
		return State{}, err
	}
	return s, nil
}

func (s State) write(dir string) error { return writeJSON(filepath.Join(dir, stateFile), s) }

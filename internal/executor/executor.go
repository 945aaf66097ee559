// Package executor names what every way of running a step's script has in common: what is run, and how it ended. One
// folder below it is one way: package shell uses the worker's own shell, package docker a container. All of them pass the
// suite of package executortest.
package executor

import (
	"context"
	"fmt"
	"io"
	"syscall"
	"time"
)

// Script is one script of a step, ready to run.
type Script struct {
	Text    string
	Shell   string   // words of the command that the script's file is handed to; empty: the platform's own shell
	Dir     string   // where it runs
	Scratch string   // folder outside Dir for files of the executor; exists
	Env     []string // its whole environment as NAME=value
	Output  io.Writer
	Timeout time.Duration // 0: none; a session is ended by its context alone
	Grace   time.Duration // from the interrupt to the kill
	// Group is a process group reserved for the script (process.ReserveGroup); empty: a new one.
	Group string
	// Started is told the name of the group that the script really runs in, which is seldom another. May be nil.
	Started func(group string)
}

// Executor is one way to run scripts. It may be used by many goroutines.
//
// Run runs the script to its end, or to that of its timeout or of ctx; then it is interrupted, and killed after its grace.
// Everything that it started has ended when Run returns, and its output is delivered. A script that fails is not an error:
// the error tells what went wrong beside it, such as output that could not be written, or why the machine did not start
// it, which may be otherwise a moment later.
//
// Open starts a shell for a person where the script would run, with all that it would have; of the script it needs neither
// Text nor Shell. It goes on until it ends, or ctx does: then it is hung up (SIGHUP) as a script is interrupted. The error
// says why there is none, and is ErrNoTerminal where there never is one.
type Executor interface {
	Run(ctx context.Context, script Script) (Result, error)
	Open(ctx context.Context, script Script) (Session, error)
}

// Outcome is how a script came to its end.
type Outcome string

// The outcomes of a script.
const (
	Exited      Outcome = "exited"      // by itself, or killed by somebody else
	TimedOut    Outcome = "timed out"   // interrupted, because it took longer than its timeout
	Interrupted Outcome = "interrupted" // because its context ended
	NotStarted  Outcome = "not started" // the shell is missing, for example
	BrokenOff   Outcome = "broken off"  // what it ran in is gone, such as the daemon of its container
)

// Outcomes lists every outcome.
var Outcomes = []Outcome{Exited, TimedOut, Interrupted, NotStarted, BrokenOff}

// Result is how a script ended.
type Result struct {
	Outcome  Outcome
	ExitCode int            // 0 to 255; -1 when there was none
	Signal   syscall.Signal // that ended the shell, or 0
	Reason   string         // for people; empty when it passed
}

// Passed says that the script did what it was to do.
func (r Result) Passed() bool { return r.Outcome == Exited && r.ExitCode == 0 && r.Signal == 0 }

// Ended is the result of a script that came to its end by itself.
func Ended(code int, signal syscall.Signal) Result {
	r := Result{Outcome: Exited, ExitCode: code, Signal: signal}
	switch {
	case signal != 0:
		r.Reason = killedBy(signal)
	case code != 0:
		r.Reason = fmt.Sprintf("exited with status %d", code) + hint(code)
	}
	return r
}

// Expired is the result of a script that was stopped after its timeout.
func Expired(after time.Duration) Result {
	return Result{Outcome: TimedOut, ExitCode: -1, Reason: "timed out after " + Words(after)}
}

func killedBy(signal syscall.Signal) string {
	text := fmt.Sprintf("killed by signal %d", int(signal))
	if signal == syscall.SIGKILL {
		text += " (out of memory?)"
	}
	return text
}

// hint explains the statuses that shells give a meaning to (POSIX.1-2017, Shell Command Language, 2.8.2).
func hint(code int) string {
	switch {
	case code == 126:
		return " (a command could not be executed)"
	case code == 127:
		return " (a command was not found)"
	case code > 128 && code <= 128+64:
		return fmt.Sprintf(" (a command was %s)", killedBy(syscall.Signal(code-128)))
	}
	return ""
}

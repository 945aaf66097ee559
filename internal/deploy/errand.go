package deploy

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/towpath-cd/towpath"
)

// Errand is a command that a person runs in the files of an instance, with what its release is given, but no port.
type Errand struct {
	ID       string        // unique; a part of file names
	Epoch    towpath.Epoch // it is not begun where a later one was seen
	Release  towpath.Release
	Instance towpath.Instance
	Command  []string      // program and arguments
	Within   time.Duration // it is ended after so long, whether or not anybody is there to say so
	Terminal *TerminalSize // nil: it has none
	Resize   <-chan TerminalSize
	Stdin    io.Reader // may block; nobody reads it any more once Exec has returned
	Stdout   io.Writer // also its errors, at a terminal
	Stderr   io.Writer
}

// TerminalSize is that of a terminal, in characters.
type TerminalSize struct{ Rows, Columns int }

// ErrandEnd is how a command ended.
type ErrandEnd struct {
	ExitCode int    // as a shell has it: 128 and the number of a signal, where one ended it
	Left     string // what could not be ended; empty usually
}

// ErrandGrace is how long a command may take to end once it was asked to.
const ErrandGrace = 10 * time.Second

// ErrNoErrands says that a target cannot run commands.
var ErrNoErrands = errors.New("this target runs no commands of people")

// Exec runs a command beside an instance of the target, and returns when it and all that it started have ended. That is so
// soon after ctx has ended, and also where this process dies. It needs no turn: orders go on beside it. The error is of a
// kind that Do has, and says that nothing was run; or that nobody knows how it ended (UnknownOutcome).
func Exec(ctx context.Context, target Driver, e Errand) (ErrandEnd, error) {
	t, can := target.(interface {
		Exec(context.Context, Errand) (ErrandEnd, error)
	})
	if !can {
		return ErrandEnd{}, &Permanent{Err: ErrNoErrands}
	}
	return t.Exec(ctx, e)
}

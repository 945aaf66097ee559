package executor

import (
	"errors"
	"io"
)

// ErrNoTerminal says that this way to run scripts gives nobody a terminal.
var ErrNoTerminal = errors.New("there are no debug shells here")

// Size is that of a terminal, in characters.
type Size struct{ Rows, Columns uint16 }

// FirstSize is that of a new terminal, until somebody says another.
var FirstSize = Size{Rows: 24, Columns: 80}

// Session is a shell under way at a terminal of its own, which a person has in the place of a script. Whoever has it may read,
// write and resize at the same time.
//
// Read answers what is printed, and an error once nothing has the terminal open any more. Write types. Both fail after
// Close, which gives the terminal back and is due once Wait has returned.
type Session interface {
	io.ReadWriteCloser
	Resize(size Size) error
	// Wait waits for the shell to end; everything that it started has ended then. Its answer is as Executor.Run's.
	Wait() (Result, error)
}

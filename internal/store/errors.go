package store

import (
	"errors"
	"fmt"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/towpath-cd/towpath"
)

// The errors that callers ask for by errors.Is. Each has the code that people and programs are told.
var (
	// ErrConflict says that somebody else has saved the thing since it was loaded: load it and decide again.
	ErrConflict = towpath.Errorf(towpath.CodeConflict, "it was changed by somebody else meanwhile").
			WithHint("look again and retry")
	// ErrFull says that the disk has no room, so nothing was stored. It ends by itself when there is room again.
	ErrFull = towpath.Errorf(towpath.CodeUnavailable, "the server's disk is full").
		WithHint("free some space in its data folder; waiting work goes on by itself")
	// ErrClosed says that the store is shutting down.
	ErrClosed = towpath.Errorf(towpath.CodeUnavailable, "the server is shutting down")
	// ErrNotFound is the cause of every error about a thing that does not exist.
	ErrNotFound = errors.New("not found")
	// ErrExists is the cause of every error about a name that is taken.
	ErrExists = errors.New("already exists")
)

func missing(what string, name any) error {
	err := towpath.Errorf(towpath.CodeNotFound, "there is no %s %v", what, name)
	err.Err = ErrNotFound
	return err
}

func taken(what string, name any) error {
	err := towpath.Errorf(towpath.CodeConflict, "there is already a %s %v", what, name)
	err.Err = ErrExists
	return err
}

// explain gives a full disk its own name. A write that fails for another I/O reason counts as one too: nothing was
// stored, and trying again later is all that can be done.
func explain(err error) error {
	fault, ok := errors.AsType[*sqlite.Error](err)
	if !ok {
		return err
	}
	switch fault.Code() & 0xff {
	case sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR:
		return fmt.Errorf("%w: %w", ErrFull, err)
	}
	return err
}

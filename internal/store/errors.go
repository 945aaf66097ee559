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
	// ErrUnwritable says that the database cannot be written now, so nothing was stored. It ends by itself.
	ErrUnwritable = towpath.Errorf(towpath.CodeUnavailable, "the server's database cannot be written").
			WithHint("look at the disk of its data folder: it is full, read-only or broken; waiting work goes on by itself")
	// ErrFull is an ErrUnwritable: the disk has no room.
	ErrFull = &towpath.Error{
		Code: towpath.CodeUnavailable, Message: "the server's disk is full",
		Hint: "free some space in its data folder; waiting work goes on by itself", Err: ErrUnwritable,
	}
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

// explain gives a disk that is full or cannot be written its own name: nothing was stored, and trying again later is all
// that can be done.
func explain(err error) error {
	fault, ok := errors.AsType[*sqlite.Error](err)
	if !ok {
		return err
	}
	switch fault.Code() & 0xff {
	case sqlite3.SQLITE_FULL:
		return fmt.Errorf("%w: %w", ErrFull, err)
	case sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM:
		return fmt.Errorf("%w: %w", ErrUnwritable, err)
	}
	return err
}

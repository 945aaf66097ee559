package app

import (
	"errors"
	"net"
	"net/http"
	"path/filepath"
	"slices"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/durable"
	"github.com/towpath-cd/towpath/internal/process"
)

// closing is what has to be closed, in reverse order.
type closing []func() error

func (c *closing) add(fn func() error) { *c = append(*c, fn) }

func (c closing) close() error {
	var errs []error
	for _, fn := range slices.Backward(c) {
		errs = append(errs, fn())
	}
	return errors.Join(errs...)
}

// ignoreClosed leaves out that something was closed by somebody else before.
func ignoreClosed(fn func() error) func() error {
	return func() error {
		err := fn()
		if errors.Is(err, net.ErrClosed) || errors.Is(err, http.ErrServerClosed) {
			return nil
		}
		return err
	}
}

// inUse says who has the address, where it can be known.
func inUse(address string, err error) error {
	e := towpath.Errorf(towpath.CodeConflict, "cannot listen on %s: %s", address, err).
		WithHint("--listen HOST:PORT chooses another address")
	if holder, found := process.PortHolder(address); found == nil && holder.PID != 0 {
		e.Message += "; it is held by " + holder.String()
	}
	e.Err = err
	return e
}

// lockFolder makes sure that one process only works in a data folder.
func lockFolder(folder string) (unlock func() error, err error) {
	unlock, err = durable.LockSoon(filepath.Join(folder, "lock"))
	if errors.Is(err, durable.ErrHeld) {
		return nil, towpath.Errorf(towpath.CodeConflict, "another process works in %s", folder).
			WithHint("stop it first, or use --data for another folder")
	}
	return unlock, err
}

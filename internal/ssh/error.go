package ssh

import (
	"errors"
	"fmt"
)

// The kinds of what goes wrong before a script runs. None of them says that anything was done on the host.
var (
	// ErrUnreachable is a host that does not answer, now.
	ErrUnreachable = errors.New("not reached")
	// ErrHostKey is a host whose key is unknown, another, or revoked: a person has to look.
	ErrHostKey = errors.New("host key not accepted")
	// ErrRefused is a host that lets nobody of ours in.
	ErrRefused = errors.New("login refused")
	// ErrSettings is a configuration that cannot be honoured.
	ErrSettings = errors.New("ssh configuration")
	// ErrClosed is a host that is not to be used any more.
	ErrClosed = errors.New("closed")
)

// ErrLost is a connection that ended while a script ran: nobody knows how far it came.
var ErrLost = errors.New("the connection was lost")

// Error is what is wrong with a host.
type Error struct {
	Host string // as it was asked for
	Kind error  // one of the above
	Err  error  // in words
}

// Error names the host and what is wrong.
func (e *Error) Error() string { return fmt.Sprintf("%s: %s", e.Host, e.Err) }

// Unwrap answers the kind and the cause.
func (e *Error) Unwrap() []error { return []error{e.Kind, e.Err} }

// isLasting says that trying again changes nothing until a person has done something.
func isLasting(err error) bool {
	return errors.Is(err, ErrHostKey) || errors.Is(err, ErrRefused) || errors.Is(err, ErrSettings)
}

// IsLasting says that trying again changes nothing until a person has done something.
func IsLasting(err error) bool { return isLasting(err) }

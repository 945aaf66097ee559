package probe

import (
	"context"
	"errors"
	"net"
	"syscall"
)

// silenceError is a try that nobody answered: no connection came about, or nothing was said in time. A port that refuses is an answer.
type silenceError struct{ error }

func (e silenceError) Unwrap() error { return e.error }

func isSilent(err error) bool {
	_, is := errors.AsType[silenceError](err)
	return is
}

// markingSilence tells connections that did not come about from those that were refused.
func markingSilence(dial Dial) Dial {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		connection, err := dial(ctx, network, address)
		if err != nil && !errors.Is(err, syscall.ECONNREFUSED) {
			return nil, silenceError{err}
		}
		return connection, err
	}
}

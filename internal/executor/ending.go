package executor

import (
	"context"
	"errors"
	"time"
)

// ErrTimeout is the cause of the end of a script's context by its timeout.
var ErrTimeout = errors.New("timeout of the script")

// Limit gives a script's context its timeout; 0 is none.
func Limit(ctx context.Context, timeout time.Duration) (context.Context, context.CancelFunc) {
	if timeout <= 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeoutCause(ctx, timeout, ErrTimeout)
}

// Cut is the result of a script that was ended together with its context, which Limit made.
func Cut(ctx context.Context, timeout time.Duration) Result {
	if cause := context.Cause(ctx); !errors.Is(cause, ErrTimeout) {
		return Result{Outcome: Interrupted, ExitCode: -1, Reason: cause.Error()}
	}
	return Expired(timeout)
}

// NotBegun is the result of a script that could not be started.
func NotBegun(why error) Result {
	return Result{Outcome: NotStarted, ExitCode: -1, Reason: why.Error()}
}

// Broken is the result of a script that was under way when what it ran in went away.
func Broken(why error) Result {
	return Result{Outcome: BrokenOff, ExitCode: -1, Reason: why.Error()}
}

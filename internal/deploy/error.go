package deploy

import (
	"fmt"
	"time"

	"github.com/towpath-cd/towpath"
)

// Retryable is an operation that did not happen, and may when it is tried again.
type Retryable struct {
	Err   error
	After time.Duration // at the earliest; 0 leaves it to the keeper
}

// Permanent is an operation that did not happen, and will not however often it is tried.
type Permanent struct {
	Err error
	Log []string // the lines that show it: the end of an instance's log, the probe's answer
}

// UnknownOutcome is an operation that may have happened. What follows is an observation.
type UnknownOutcome struct{ Err error }

// StaleEpoch is an order that was refused because another keeper has given one since.
type StaleEpoch struct{ Seen towpath.Epoch }

func (e *Retryable) Error() string      { return e.Err.Error() }
func (e *Permanent) Error() string      { return e.Err.Error() }
func (e *UnknownOutcome) Error() string { return "outcome unknown: " + e.Err.Error() }
func (e *StaleEpoch) Error() string {
	return fmt.Sprintf("a keeper with epoch %s has taken over", e.Seen)
}

// Unwrap answers the cause.
func (e *Retryable) Unwrap() error { return e.Err }

// Unwrap answers the cause.
func (e *Permanent) Unwrap() error { return e.Err }

// Unwrap answers the cause.
func (e *UnknownOutcome) Unwrap() error { return e.Err }

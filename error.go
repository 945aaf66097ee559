package towpath

import (
	"errors"
	"fmt"
)

// Code says to a program what kind of error it met; the API, the CLI and the pages map it to their own signs.
type Code string

// The codes.
const (
	CodeInvalid      Code = "invalid"      // the input is wrong; the same call will fail again
	CodeUnauthorized Code = "unauthorized" // nobody is signed in, or the token is not valid
	CodeForbidden    Code = "forbidden"    // known, but the role does not allow it
	CodeNotFound     Code = "not_found"    // no such thing, or not for this caller
	CodeConflict     Code = "conflict"     // the state of the thing does not allow it now
	CodeStale        Code = "stale"        // the attempt, lease or epoch is no longer the current one
	CodeUnavailable  Code = "unavailable"  // try again later
	CodeInternal     Code = "internal"     // a fault of ours
)

// Error is an error for people: what happened and why, and what to do about it.
type Error struct {
	Code    Code
	Message string // lower case, names the thing
	Hint    string // what to do; may be empty
	Err     error  // the cause, for the log; never shown to a stranger
}

func (e *Error) Error() string {
	if e.Hint == "" {
		return e.Message
	}
	return e.Message + " (" + e.Hint + ")"
}

// Unwrap answers the cause.
func (e *Error) Unwrap() error { return e.Err }

// Errorf makes an Error of a code and a sentence.
func Errorf(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// WithHint answers the same error with what to do about it.
func (e *Error) WithHint(format string, args ...any) *Error {
	c := *e
	c.Hint = fmt.Sprintf(format, args...)
	return &c
}

// CodeOf answers the code of err, CodeInternal where it has none.
func CodeOf(err error) Code {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	return CodeInternal
}

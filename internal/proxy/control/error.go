package control

import (
	"errors"
	"fmt"
	"net/http"
)

// Code is the kind of a refusal, as it stands on the wire.
type Code string

// What a proxy can refuse with.
const (
	CodeInvalid        Code = "invalid"
	CodeUnauthorized   Code = "unauthorized"
	CodeUnknownRoute   Code = "unknown_route"
	CodeUnknownBackend Code = "unknown_backend"
	CodeBusy           Code = "busy"
	CodeConflict       Code = "conflict"
	CodeStaleEpoch     Code = "stale_epoch"
	CodeNotOwner       Code = "not_owner"
	CodeInternal       Code = "internal"
)

// Sentinels to ask for with errors.Is. ErrStaleEpoch: another holder has taken over; the Error in the chain
// has its Current epoch. ErrBusy: a backend takes traffic, or has something in flight. ErrConflict: another
// route has that host or address. ErrNotOwner: the proxy is handing over to another process; ask again.
var (
	ErrInvalid        = errors.New("invalid request")
	ErrUnauthorized   = errors.New("unauthorized")
	ErrUnknownRoute   = errors.New("unknown route")
	ErrUnknownBackend = errors.New("unknown backend")
	ErrBusy           = errors.New("backend in use")
	ErrConflict       = errors.New("taken by another route")
	ErrStaleEpoch     = errors.New("stale epoch")
	ErrNotOwner       = errors.New("proxy is handing over")
	ErrInternal       = errors.New("proxy failed")
)

// Error is a refusal: what was wrong in a sentence, and what to do about it.
type Error struct {
	Code    Code   `json:"code"`
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
	// Current is the epoch the route has, with CodeStaleEpoch.
	Current *Epoch `json:"current,omitempty"`
}

// Error returns the sentence.
func (e *Error) Error() string { return e.Message }

// Unwrap makes errors.Is find the sentinel of the code.
func (e *Error) Unwrap() error { return e.kind().sentinel }

// Status is the HTTP status that carries this refusal.
func (e *Error) Status() int { return e.kind().status }

// Refuse makes an Error of that code.
func Refuse(code Code, hint, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...), Hint: hint}
}

type kind struct {
	sentinel error
	status   int
}

func (e *Error) kind() kind {
	switch e.Code {
	case CodeInvalid:
		return kind{ErrInvalid, http.StatusBadRequest}
	case CodeUnauthorized:
		return kind{ErrUnauthorized, http.StatusUnauthorized}
	case CodeUnknownRoute:
		return kind{ErrUnknownRoute, http.StatusNotFound}
	case CodeUnknownBackend:
		return kind{ErrUnknownBackend, http.StatusNotFound}
	case CodeBusy:
		return kind{ErrBusy, http.StatusConflict}
	case CodeConflict:
		return kind{ErrConflict, http.StatusConflict}
	case CodeStaleEpoch:
		return kind{ErrStaleEpoch, http.StatusPreconditionFailed}
	case CodeNotOwner:
		return kind{ErrNotOwner, http.StatusServiceUnavailable}
	default:
		return kind{ErrInternal, http.StatusInternalServerError}
	}
}

package cli

import (
	"context"
	"errors"
)

// Codes of the errors that the command line itself makes. Those of the server are passed on as they are.
const (
	CodeFailed      = "failed"
	CodeInterrupted = "interrupted"
	CodeUsage       = "usage"
)

// Error is what a verb returns when it can say what to do, and what a program reads under --json.
type Error struct {
	Code    string `json:"code"`           // one word in kebab case, for programs; it does not change
	Message string `json:"message"`        // what happened, for people
	Hint    string `json:"hint,omitempty"` // what to do about it, for people
}

// Error returns the sentence for people.
func (e Error) Error() string { return e.Message }

// usage is the error of a verb that was called in a way it does not understand.
func usage(message, hint string) error {
	return Error{Code: CodeUsage, Message: message, Hint: hint}
}

// asUsage turns the flag parser's own errors into one of ours.
func asUsage(err error) error {
	var known Error
	if errors.As(err, &known) {
		return err
	}
	return usage(err.Error(), "towpath help lists the verbs")
}

// describe finds the code, the sentence and the hint in an error.
func describe(ctx context.Context, err error) Error {
	var known Error
	switch {
	case errors.As(err, &known):
		return Error{Code: known.Code, Message: err.Error(), Hint: known.Hint}
	case errors.Is(err, context.Canceled) && ctx.Err() != nil:
		return Error{Code: CodeInterrupted, Message: "interrupted"}
	default:
		return Error{Code: CodeFailed, Message: err.Error()}
	}
}

// exitCode is ExitUsage for what was not understood, and ExitFailed for the rest.
func exitCode(err error) int {
	var known Error
	if errors.As(err, &known) && known.Code == CodeUsage {
		return ExitUsage
	}
	return ExitFailed
}

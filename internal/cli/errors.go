package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/client"
)

// Codes that the command line adds to those of the nouns (towpath.Code) and of the server.
const (
	codeFailed      = "failed" // an error that says no more than its sentence
	codeInterrupted = "interrupted"
	codeUsage       = "usage"
)

// failure is an error as people and, under --json, programs read it.
type failure struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
}

// usageError is the error of a verb that was called in a way it does not understand. It ends with ExitUsage.
type usageError struct{ message, hint string }

func (e *usageError) Error() string { return e.message }

// usage says what is not understood, and what would be right.
func usage(message, hint string) error { return &usageError{message: message, hint: hint} }

// errDeclined ends a verb that a person was asked about and did not want.
var errDeclined = errors.New("nothing was done")

// toldError ends a verb with ExitFailed that has told people already what went wrong; programs still get an object.
type toldError struct{ error }

func (e toldError) Unwrap() error { return e.error }

// told says that people need not be told of an error again.
func told(err error) error { return toldError{err} }

func isTold(err error) bool {
	_, is := errors.AsType[toldError](err)
	return is
}

// asUsage turns the flag parser's own errors into one of ours.
func asUsage(err error) error {
	if isUsage(err) {
		return err
	}
	return usage(err.Error(), "towpath help lists the verbs")
}

func isUsage(err error) bool {
	_, is := errors.AsType[*usageError](err)
	return is
}

// describe finds the code, the sentence and the hint in an error. One that comes of an interrupt is told as that,
// whatever it broke.
func describe(ctx context.Context, err error) failure {
	if errors.Is(err, context.Canceled) && ctx.Err() != nil {
		return failure{Code: codeInterrupted, Message: "interrupted"}
	}
	if wrong, ok := errors.AsType[*usageError](err); ok {
		return failure{Code: codeUsage, Message: err.Error(), Hint: wrong.hint}
	}
	if said, ok := errors.AsType[*client.Error](err); ok {
		return failure{Code: said.Code, Message: err.Error(), Hint: said.Hint}
	}
	if own, ok := errors.AsType[*towpath.Error](err); ok {
		sentence := strings.Replace(err.Error(), own.Error(), own.Message, 1) // its hint has a line of its own
		return failure{Code: string(own.Code), Message: sentence, Hint: own.Hint}
	}
	return failure{Code: codeFailed, Message: err.Error()}
}

// statusError ends a verb with the status of what it ran.
type statusError struct{ status int }

func (e statusError) Error() string { return fmt.Sprintf("it ended with status %d", e.status) }

// exitCode is that of what the verb ran, where it ran something, else ExitUsage for what was not understood, and ExitFailed for the rest.
func exitCode(err error) int {
	if ran, ok := errors.AsType[statusError](err); ok && ran.status > 0 {
		return ran.status
	}
	if isUsage(err) {
		return ExitUsage
	}
	return ExitFailed
}

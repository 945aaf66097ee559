package git

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"syscall"
)

// What can go wrong, for errors.Is.
var (
	// ErrNotFound: the repository, revision or path does not exist, or the remote hides it from us.
	ErrNotFound = errors.New("not found")
	// ErrRefused: the remote wants other credentials, or its owner does not let us read it.
	ErrRefused = errors.New("access refused")
	// ErrUnreachable: the remote's machine could not be reached or broke off; worth trying again.
	ErrUnreachable = errors.New("remote unreachable")
	// ErrTimeout: git took longer than Options.Timeout; worth trying again.
	ErrTimeout = errors.New("git took too long")
	// ErrCrowded: this machine, or the remote's, has no room for another process; worth trying again.
	ErrCrowded = errors.New("no room for another process")
	// ErrKilled: somebody killed git, or a program that it had started; worth trying again.
	ErrKilled = errors.New("git was killed")
	// ErrDamaged: the local mirror is broken. Fetch makes it anew.
	ErrDamaged = errors.New("mirror damaged")
	// ErrUnsafe: a URL, reference, revision or path that is never given to git.
	ErrUnsafe = errors.New("refused before asking git")
	// ErrTooLarge: an object exceeds MaxFileBytes, or there are too many of them.
	ErrTooLarge = errors.New("file too large")
	// ErrUnsupported: an option that a later version will carry out.
	ErrUnsupported = errors.New("not supported yet")
)

// Error is a git process that failed.
type Error struct {
	Doing   string // what was being done
	Kind    error  // one of the sentinels above, or nil when git's message is not known to us
	Excerpt string // the end of git's standard error, credentials masked
	cause   error
}

func (e *Error) Error() string {
	reason := e.cause.Error()
	if e.Kind != nil {
		reason = e.Kind.Error()
	}
	if e.Excerpt == "" {
		return e.Doing + ": " + reason
	}
	return fmt.Sprintf("%s: %s: %s", e.Doing, reason, e.Excerpt)
}

// Unwrap returns the kind and what the process ended with.
func (e *Error) Unwrap() []error {
	if e.Kind == nil {
		return []error{e.cause}
	}
	return []error{e.Kind, e.cause}
}

// Temporary says whether the same call may succeed later with nothing changed on our side.
func (e *Error) Temporary() bool {
	for _, passing := range []error{ErrUnreachable, ErrTimeout, ErrCrowded, ErrKilled} {
		if errors.Is(e.Kind, passing) {
			return true
		}
	}
	return false
}

func explain(doing string, cause error, stderr string) error {
	kind := classify(cause, stderr)
	return &Error{Doing: doing, Kind: kind, Excerpt: MaskURLs(stderr), cause: cause}
}

// phrases of git 2.39 to 2.5x and of the usual forges, in LC_ALL=C, the telling ones first. What they decide is
// only which sentinel an error matches; the words themselves are shown in any case.
var phrases = []struct {
	kind error
	any  []string
}{
	{ErrCrowded, []string{"resource temporarily unavailable", "cannot allocate memory", "unable to create thread", "too many open files"}},
	{ErrKilled, []string{"died of signal 9"}},
	{ErrRefused, []string{
		"authentication failed", "could not read username", "could not read password", "permission denied",
		"access denied", "dubious ownership", "host key verification failed", "error: 401", "error: 403",
		"terminal prompts disabled", "transport '", "http basic: access denied",
	}},
	{ErrUnreachable, []string{
		"could not resolve host", "connection refused", "connection timed out", "failed to connect",
		"couldn't connect", "connection reset", "network is unreachable", "no route to host", "early eof",
		"the remote end hung up", "error: 429", "error: 500", "error: 502", "error: 503", "error: 504",
		"operation timed out", "unexpected disconnect", "empty reply from server", "ssl_",
	}},
	{ErrDamaged, []string{
		"object file", "loose object", "packfile", "bad object", "did not send all necessary objects", "index file",
		"missing blob", "missing tree", "missing commit", "unable to read tree", "broken ref", "bad packed",
		"unexpected line in", "not a git repository: '",
	}},
	{ErrNotFound, []string{
		"not found", "does not exist", "does not appear to be a git repository", "couldn't find remote ref",
		"not our ref", "no such file or directory", "not a valid object name", "not a tree object",
		"unadvertised object", "no such remote ref",
	}},
}

func classify(cause error, stderr string) error {
	switch {
	case errors.Is(cause, ErrTimeout):
		return ErrTimeout
	case errors.Is(cause, syscall.EAGAIN), errors.Is(cause, syscall.ENOMEM):
		return ErrCrowded
	case errors.Is(cause, context.Canceled), errors.Is(cause, context.DeadlineExceeded):
		return nil
	case wasKilled(cause):
		return ErrKilled
	}
	for _, sentinel := range []error{ErrTooLarge, ErrDamaged, ErrNotFound} {
		if errors.Is(cause, sentinel) {
			return sentinel
		}
	}
	low := strings.ToLower(stderr)
	for _, p := range phrases {
		for _, text := range p.any {
			if strings.Contains(low, text) {
				return p.kind
			}
		}
	}
	return nil
}

var userinfo = regexp.MustCompile(`([a-zA-Z][a-zA-Z0-9+.-]*://)[^/@\s'"]+@`)

// MaskURLs replaces the user and password of every URL in text by "***".
func MaskURLs(text string) string { return userinfo.ReplaceAllString(text, "${1}***@") }

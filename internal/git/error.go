package git

import (
	"context"
	"errors"
	"fmt"
	"net/url"
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
	// ErrHostUnknown: the remote could not prove who it is: its SSH host key is not among the known ones, or nobody whom
	// this machine trusts signed its certificate.
	ErrHostUnknown = errors.New("host not known")
	// ErrHostChanged: the remote's SSH host key is not the one that is known. Somebody may stand in between.
	ErrHostChanged = errors.New("host key changed")
	// ErrUnreachable: the remote's machine could not be reached; worth trying again.
	ErrUnreachable = errors.New("remote unreachable")
	// ErrBusy: the remote's machine answered, and failed, broke off, or wants to be asked less; worth trying again.
	ErrBusy = errors.New("remote busy or failing")
	// ErrTimeout: git took longer than Options.Timeout; worth trying again.
	ErrTimeout = errors.New("git took too long")
	// ErrCrowded: this machine, or the remote's, has no room for another process; worth trying again.
	ErrCrowded = errors.New("no room for another process")
	// ErrKilled: somebody killed git, or a program that it had started; worth trying again.
	ErrKilled = errors.New("git was killed")
	// ErrPartial: the remote is itself a partial clone, and git serves nothing that such a one would have to fetch first.
	ErrPartial = errors.New("a partial clone, which cannot be followed")
	// ErrDamaged: the local mirror is broken. Fetch makes it anew.
	ErrDamaged = errors.New("mirror damaged")
	// ErrProtocol: an address of a transport that may not be used here.
	ErrProtocol = errors.New("protocol not allowed")
	// ErrUnsafe: a URL, reference, revision or path that is never given to git.
	ErrUnsafe = errors.New("refused before asking git")
	// ErrTooLarge: an object exceeds MaxFileBytes, or there are too many of them.
	ErrTooLarge = errors.New("file too large")
	// ErrUnsupported: what this machine or folder does not allow.
	ErrUnsupported = errors.New("not supported here")
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
	for _, passing := range []error{ErrUnreachable, ErrBusy, ErrTimeout, ErrCrowded, ErrKilled} {
		if errors.Is(e.Kind, passing) {
			return true
		}
	}
	return false
}

// Hint says what a person can do about an error of this package; empty where nothing helps but to look closer.
func Hint(err error) string {
	for _, h := range []struct {
		kind error
		hint string
	}{
		{ErrHostChanged, "make sure that the machine itself has a new key, then set it as the project's known host"},
		{ErrHostUnknown, "set the host's keys (ssh-keyscan HOST, compared with what its owner publishes) as the project's " +
			"known hosts; of https, let the machine trust its certificate"},
		{ErrRefused, "give the project credentials that may read the repository: a deploy key over ssh, a token over https"},
		{ErrUnreachable, "is the address right, and is the host up?"},
		{ErrProtocol, "use https or ssh"},
		{ErrPartial, "name the repository that it was cloned from"},
		{ErrNoLFS, "install git-lfs there, or send the step to a worker that has it"},
	} {
		if errors.Is(err, h.kind) {
			return h.hint
		}
	}
	if errors.Is(err, ErrNotFound) {
		return "is the address right, and does the branch or revision exist? Some forges say so too where they want credentials"
	}
	return ""
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
	{ErrPartial, []string{"from promisor remote", "lazy fetching disabled"}},
	{ErrHostChanged, []string{"remote host identification has changed"}},
	{ErrHostUnknown, []string{
		"host key verification failed", "certificate verification failed", "ssl certificate problem", "no host key is known",
	}},
	{ErrProtocol, []string{"transport '"}},
	{ErrUnreachable, []string{
		"could not resolve host", "connection refused", "connection timed out", "failed to connect", "couldn't connect",
		"network is unreachable", "no route to host", "operation timed out", "name or service not known",
	}},
	{ErrRefused, []string{
		"authentication failed", "could not read username", "could not read password", "permission denied",
		"access denied", "dubious ownership", "error: 401", "error: 403", "terminal prompts disabled",
		"http basic: access denied", "too many authentication failures",
	}},
	{ErrBusy, []string{
		"error: 429", "error: 500", "error: 502", "error: 503", "error: 504", "unexpected disconnect", "connection reset",
		"early eof", "empty reply from server", "the remote end hung up", "ssl_", "connection closed by", "kex_exchange",
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

// masked leaves out what the call was given to show.
func (s *session) masked(text string) string {
	if s == nil {
		return text
	}
	for _, secret := range s.secrets {
		for _, form := range []string{secret, url.QueryEscape(secret), url.PathEscape(secret)} {
			text = strings.ReplaceAll(text, form, "***")
		}
	}
	return text
}

var userinfo = regexp.MustCompile(`([a-zA-Z][a-zA-Z0-9+.-]*://)[^/@\s'"]+@`)

// MaskURLs replaces the user and password of every URL in text by "***".
func MaskURLs(text string) string { return userinfo.ReplaceAllString(text, "${1}***@") }

package forge

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Busy is ErrBusy with what the forge says of when to call again.
type Busy struct {
	After time.Duration // not before; 0 where it does not say
	Why   string        // for people
}

func (b *Busy) Error() string {
	text := ErrBusy.Error()
	if b.Why != "" {
		text += ": " + b.Why
	}
	if b.After > 0 {
		text += " (it asks to be called again in " + b.After.String() + ")"
	}
	return text
}

func (b *Busy) Unwrap() error { return ErrBusy }

// maxWait bounds what a forge may ask for.
const maxWait = 24 * time.Hour

// Refused says why a call failed: response is what the forge answered, nil where it did not, and err what became of it.
// The error wraps one of the reasons where one fits. The token and what is hidden do not stand in it.
func (c *Caller) Refused(ctx context.Context, doing string, response *http.Response, err error, hidden ...string) error {
	if ctx.Err() != nil {
		return fmt.Errorf("%s: %w", doing, context.Cause(ctx))
	}
	why := c.shown(err, hidden)
	if _, elsewhere := errors.AsType[elsewhereError](err); elsewhere {
		return fmt.Errorf("%s: %s", doing, why)
	}
	if response == nil {
		return fmt.Errorf("%s: %w", doing, &Busy{Why: why})
	}
	why = strings.TrimSuffix(fmt.Sprintf("%d %s: %s", response.StatusCode, http.StatusText(response.StatusCode), why), ": ")
	switch code := response.StatusCode; {
	case isBusy(response):
		return fmt.Errorf("%s: %w", doing, &Busy{After: retryAfter(response.Header), Why: why})
	case code == http.StatusUnauthorized || code == http.StatusForbidden:
		return fmt.Errorf("%s: %w: %s", doing, ErrDenied, why)
	case code == http.StatusNotFound || code == http.StatusGone:
		return fmt.Errorf("%s: %w: %s", doing, ErrNotFound, why)
	}
	return fmt.Errorf("%s: the forge answers %s", doing, why)
}

// shown makes of what a forge or a library said one short line without secrets.
func (c *Caller) shown(err error, hidden []string) string {
	if err == nil {
		return ""
	}
	text := err.Error()
	for _, secret := range slices.Concat(hidden, c.hidden) {
		if secret != "" {
			text = strings.ReplaceAll(text, secret, "***")
		}
	}
	return cleaned(text)
}

// isBusy also knows GitHub's way of saying so, which is to forbid the call.
// https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api
func isBusy(response *http.Response) bool {
	if response.StatusCode == http.StatusTooManyRequests || response.StatusCode >= 500 {
		return true
	}
	return response.StatusCode == http.StatusForbidden &&
		(response.Header.Get("Retry-After") != "" || response.Header.Get("X-RateLimit-Remaining") == "0")
}

// retryAfter reads Retry-After (RFC 9110, 10.2.3), or when GitHub begins to count anew. Times are held against the
// forge's own clock.
func retryAfter(header http.Header) time.Duration {
	now, dateErr := http.ParseTime(header.Get("Date"))
	if value := header.Get("Retry-After"); value != "" {
		if seconds, err := strconv.Atoi(value); err == nil {
			return bounded(time.Duration(min(max(seconds, 0), int(maxWait/time.Second))) * time.Second)
		}
		if at, err := http.ParseTime(value); err == nil && dateErr == nil {
			return bounded(at.Sub(now))
		}
	}
	reset, err := strconv.ParseInt(header.Get("X-RateLimit-Reset"), 10, 64)
	if header.Get("X-RateLimit-Remaining") != "0" || err != nil || dateErr != nil {
		return 0
	}
	return bounded(time.Unix(reset, 0).Sub(now))
}

func bounded(wait time.Duration) time.Duration { return min(max(wait, 0), maxWait) }

package load

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
)

// The ways in which an answer that came is wrong.
var (
	ErrStatus    = errors.New("wrong status")
	ErrDigest    = errors.New("wrong digest")
	ErrNoDigest  = errors.New("no digest")
	ErrEndless   = errors.New("an answer that is whole cannot be told from one that was cut")
	ErrNameless  = errors.New("an answer that does not name its side")
	errStreamEnd = errors.New("the stream ended")
)

// statusError is a whole answer whose status is none of success.
type statusError struct {
	code   int
	status string
}

func (e statusError) Error() string { return ErrStatus.Error() + ": " + e.status }

func (e statusError) Is(target error) bool { return target == ErrStatus }

// isServerError says that an answer is whole, and that its side says in it that it could not serve.
func isServerError(err error) bool {
	status, is := errors.AsType[statusError](err)
	return is && status.code >= http.StatusInternalServerError
}

// check reads the whole answer, and says what is wrong with it; its status only where nothing else is.
func check(answer *http.Response, t Target) error {
	digest := sha256.New()
	if _, err := io.Copy(digest, answer.Body); err != nil {
		return fmt.Errorf("read the body: %w", err)
	}
	named, is := named(answer.Header.Get("Content-Digest"))
	if is && named != base64.StdEncoding.EncodeToString(digest.Sum(nil)) {
		return ErrDigest
	}
	if err := checkHead(answer); err != nil {
		return err
	}
	if t.Digest && !is {
		return ErrNoDigest
	}
	return nil
}

// checkHead refuses a body that ends when the connection does, and what is not a success.
func checkHead(answer *http.Response) error {
	switch {
	case answer.ContentLength < 0 && !slices.Contains(answer.TransferEncoding, "chunked"):
		return ErrEndless
	case answer.StatusCode/100 != 2:
		return statusError{code: answer.StatusCode, status: answer.Status}
	}
	return nil
}

// named finds the SHA-256 in a Content-Digest (RFC 9530, section 2; RFC 8941, section 3.3.5).
func named(header string) (digest string, is bool) {
	for member := range strings.SplitSeq(header, ",") {
		if value, found := strings.CutPrefix(strings.TrimSpace(member), "sha-256=:"); found {
			return strings.CutSuffix(value, ":")
		}
	}
	return "", false
}

func sideOf(answer *http.Response, label string) (string, error) {
	side := answer.Header.Get(label)
	if label != "" && side == "" {
		return "", fmt.Errorf("%w: no %s", ErrNameless, label)
	}
	return side, nil
}

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

// check reads the whole answer, and says what is wrong with it.
func check(answer *http.Response, t Target) error {
	digest := sha256.New()
	if _, err := io.Copy(digest, answer.Body); err != nil {
		return fmt.Errorf("read the body: %w", err)
	}
	if err := checkHead(answer); err != nil {
		return err
	}
	named, is := named(answer.Header.Get("Content-Digest"))
	switch {
	case !is && t.Digest:
		return ErrNoDigest
	case is && named != base64.StdEncoding.EncodeToString(digest.Sum(nil)):
		return ErrDigest
	}
	return nil
}

// checkHead refuses what is not a success, and a body that ends when the connection does.
func checkHead(answer *http.Response) error {
	switch {
	case answer.StatusCode/100 != 2:
		return fmt.Errorf("%w: %s", ErrStatus, answer.Status)
	case answer.ContentLength < 0 && !slices.Contains(answer.TransferEncoding, "chunked"):
		return ErrEndless
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

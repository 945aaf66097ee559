// Package artifact stores what build steps keep, by the digest of its content: a Manifest lists a tree, packs carry
// and hold the bytes of its files, a Store keeps both in a folder.
package artifact

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

// What can be wrong with a tree, a manifest or a pack.
var (
	// ErrMalformed: bytes that are no manifest or no pack.
	ErrMalformed = errors.New("malformed")
	// ErrUnsafe: a name or link that could lead out of the tree, or a thing that is no file, folder or link.
	ErrUnsafe = errors.New("not safe to keep")
	// ErrMismatch: content that has another digest than was promised.
	ErrMismatch = errors.New("content does not match its digest")
	// ErrTooLarge: more files or bytes than the limits allow.
	ErrTooLarge = errors.New("over the limit")
	// ErrNotFound: no such manifest or blob is stored.
	ErrNotFound = errors.New("not stored")
)

const digestPrefix = "sha256:"

// Digest is the SHA-256 of a blob or of a manifest's canonical bytes. Its text is "sha256:" and 64 digits.
type Digest [sha256.Size]byte

// DigestOf returns the digest of content.
func DigestOf(content []byte) Digest { return sha256.Sum256(content) }

// ParseDigest reads what String wrote.
func ParseDigest(text string) (Digest, error) {
	digits, found := strings.CutPrefix(text, digestPrefix)
	if !found {
		return Digest{}, fmt.Errorf("digest %q: %w", text, ErrMalformed)
	}
	return parseHex(digits)
}

func parseHex(digits string) (Digest, error) {
	var d Digest
	if len(digits) != hex.EncodedLen(len(d)) || strings.ContainsAny(digits, "ABCDEF") {
		return Digest{}, fmt.Errorf("digest %q: %w", digits, ErrMalformed)
	}
	if _, err := hex.Decode(d[:], []byte(digits)); err != nil {
		return Digest{}, fmt.Errorf("digest %q: %w", digits, ErrMalformed)
	}
	return d, nil
}

func (d Digest) String() string { return digestPrefix + d.hex() }

func (d Digest) hex() string { return hex.EncodeToString(d[:]) }

// MarshalText returns the digest's text.
func (d Digest) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads a digest's text.
func (d *Digest) UnmarshalText(text []byte) error {
	parsed, err := ParseDigest(string(text))
	*d = parsed
	return err
}

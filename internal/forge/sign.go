package forge

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"
)

// Sole answers the value of a header that signs a delivery. A second one is refused: which of them a proxy on the way had
// checked, nobody can tell.
func Sole(header http.Header, name string) (string, error) {
	switch values := header.Values(name); {
	case len(values) == 0 || values[0] == "" && len(values) == 1:
		return "", fmt.Errorf("%w: it has no header %s", ErrUnsigned, name)
	case len(values) > 1:
		return "", fmt.Errorf("%w: it has the header %s %d times", ErrForged, name, len(values))
	default:
		return values[0], nil
	}
}

// VerifyHMAC holds a header to the HMAC-SHA256 of the body in hexadecimal digits, behind a prefix such as "sha256=".
func VerifyHMAC(header http.Header, name, prefix string, body []byte, secrets []string) error {
	value, err := Sole(header, name)
	if err != nil {
		return err
	}
	digits, found := strings.CutPrefix(value, prefix)
	claimed, err := hex.DecodeString(digits)
	if !found || err != nil || len(claimed) != sha256.Size {
		return fmt.Errorf("%w: %s is not of the form %s and %d hexadecimal digits", ErrUnsigned, name, prefix, 2*sha256.Size)
	}
	return OneOf(secrets, func(secret string) bool { return hmac.Equal(claimed, MAC([]byte(secret), body)) })
}

// VerifyToken holds a header to the secret itself.
func VerifyToken(header http.Header, name string, secrets []string) error {
	value, err := Sole(header, name)
	if err != nil {
		return err
	}
	claimed := sha256.Sum256([]byte(value)) // of equal length, so that no length is told
	return OneOf(secrets, func(secret string) bool {
		digest := sha256.Sum256([]byte(secret))
		return subtle.ConstantTimeCompare(claimed[:], digest[:]) == 1
	})
}

// OneOf asks for every secret, also once one has fitted, so that the time tells nothing of which it was. An empty secret
// fits nothing.
func OneOf(secrets []string, fits func(secret string) bool) error {
	verified := false
	for _, secret := range secrets {
		if fits(secret) && secret != "" {
			verified = true
		}
	}
	if !verified {
		return ErrForged
	}
	return nil
}

// MAC is the HMAC-SHA256 of a message.
func MAC(key, message []byte) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write(message)
	return mac.Sum(nil)
}

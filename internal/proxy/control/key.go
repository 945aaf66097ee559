package control

import (
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
)

// keyPrefix begins every key, so that people and scanners for secrets see what it is.
const keyPrefix = "towpath-proxy"

// ErrOtherProxy means that who answers at a control port is not the proxy of the key.
var ErrOtherProxy = errors.New("another proxy, or somebody in between")

// Key is all that is needed to give orders to a proxy on another machine: by which to know it, and to be known.
type Key struct {
	Pin   [sha256.Size]byte // SHA-256 of the public key of its certificate (RFC 7469, section 2.4)
	Token string
}

// String is the key as `towpath proxy key` prints it, and as it is kept as a secret.
func (k Key) String() string {
	return strings.Join([]string{keyPrefix, base64.RawURLEncoding.EncodeToString(k.Pin[:]), k.Token}, ".")
}

// ParseKey reads what String has written. Its error does not tell the key.
func ParseKey(text string) (Key, error) {
	parts := strings.Split(strings.TrimSpace(text), ".")
	if len(parts) != 3 || parts[0] != keyPrefix || parts[2] == "" {
		return Key{}, fmt.Errorf("not the key of a proxy, which begins with %q: `towpath proxy key` prints it on the proxy's machine", keyPrefix+".")
	}
	pin, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil || len(pin) != sha256.Size {
		return Key{}, errors.New("the key of the proxy was cut or changed: `towpath proxy key` prints it on the proxy's machine")
	}
	return Key{Pin: [sha256.Size]byte(pin), Token: parts[2]}, nil
}

// PinOf is what a Key has of a certificate.
func PinOf(certificate *x509.Certificate) [sha256.Size]byte {
	return sha256.Sum256(certificate.RawSubjectPublicKeyInfo)
}

// tls is a connection to the key's proxy and to nobody else. No authority has signed its certificate: it is known itself.
func (k Key) tls() *tls.Config {
	return &tls.Config{
		MinVersion:         tls.VersionTLS13,
		InsecureSkipVerify: true, // VerifyConnection is stricter
		VerifyConnection: func(state tls.ConnectionState) error {
			pin := PinOf(state.PeerCertificates[0])
			if subtle.ConstantTimeCompare(pin[:], k.Pin[:]) != 1 {
				return ErrOtherProxy
			}
			return nil
		},
	}
}

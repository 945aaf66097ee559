package git

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"syscall"
)

// isCertificate says that a TLS connection ended because of who the other side is.
func isCertificate(err error) bool {
	return errors.As(err, new(*tls.CertificateVerificationError)) || errors.As(err, new(x509.UnknownAuthorityError)) ||
		errors.As(err, new(x509.HostnameError)) || errors.As(err, new(x509.CertificateInvalidError))
}

// unreachableOrCrowded tells a machine that does not answer from one of ours that has no room for a connection, and from a
// connection that broke.
func unreachableOrCrowded(err error) error {
	switch {
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE), errors.Is(err, syscall.ENOMEM):
		return ErrCrowded
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return ErrBusy
	}
	return ErrUnreachable
}

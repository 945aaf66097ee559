package access

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/hex"
	"strings"
)

// Every credential begins with its kind, so that a person, a log filter or a scanner of leaked secrets knows it.
const (
	tokenPrefix        = "twp_" // of an account
	workerPrefix       = "tww_" // a worker's key
	registrationPrefix = "twr_" // one-time, for a new worker
	linkPrefix         = "twl_" // one-time, for a person
	sessionPrefix      = "tws_" // in a browser's cookie
	ownerPrefix        = "two_" // in the owner's file
)

// newCredential makes one of 256 random bits.
func newCredential(prefix string) string {
	var secret [32]byte
	_, _ = rand.Read(secret[:]) // never fails (crypto/rand)
	text := base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(secret[:])
	return prefix + strings.ToLower(text)
}

// fingerprint is what is stored of a credential. It is looked up as a whole, so how long that takes says nothing about
// the credential; and as credentials are random, a plain hash is enough.
func fingerprint(credential string) string {
	sum := sha256.Sum256([]byte(credential))
	return hex.EncodeToString(sum[:])
}

package access

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"strings"
	"sync"

	"golang.org/x/crypto/argon2"

	"github.com/towpath-cd/towpath"
)

// The shortest and the longest password, in bytes. The upper bound keeps hashing from being a burden on the server.
const (
	MinPassword = 10
	MaxPassword = 256
)

// Argon2id by OWASP's cheat sheet for password storage: 19 MiB, two passes, one lane.
const (
	argonMemory = 19 * 1024 // KiB
	argonPasses = 2
	argonLanes  = 1
	argonLength = 32
)

// hasher hashes passwords, few at a time: each takes 19 MiB for a moment.
type hasher struct {
	slots chan struct{}
	dummy func() string // is compared where there is no account, so that its absence takes as long to find
}

func newHasher() *hasher {
	h := &hasher{slots: make(chan struct{}, 2)}
	h.dummy = sync.OnceValue(func() string { return h.hash(rand.Text()) })
	return h
}

// hash answers the password's hash in the usual form: $argon2id$v=19$m=…,t=…,p=…$salt$hash.
func (h *hasher) hash(password string) string {
	salt := make([]byte, 16)
	_, _ = rand.Read(salt) // never fails (crypto/rand)
	key := h.derive(password, salt, argonPasses, argonMemory, argonLanes)
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, argonMemory, argonPasses, argonLanes,
		base64.RawStdEncoding.EncodeToString(salt), base64.RawStdEncoding.EncodeToString(key))
}

// matches says whether the password is the one that was hashed, with the settings of that time.
func (h *hasher) matches(password, hashed string) bool {
	parts := strings.Split(hashed, "$")
	if len(parts) != 6 || parts[1] != "argon2id" {
		return false
	}
	var memory, passes uint32
	var lanes uint8
	if _, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &memory, &passes, &lanes); err != nil {
		return false
	}
	salt, err1 := base64.RawStdEncoding.DecodeString(parts[4])
	want, err2 := base64.RawStdEncoding.DecodeString(parts[5])
	if err1 != nil || err2 != nil || len(want) != argonLength {
		return false
	}
	return subtle.ConstantTimeCompare(h.derive(password, salt, passes, memory, lanes), want) == 1
}

func (h *hasher) derive(password string, salt []byte, passes, memory uint32, lanes uint8) []byte {
	h.slots <- struct{}{}
	defer func() { <-h.slots }()
	return argon2.IDKey([]byte(password), salt, passes, memory, lanes, argonLength)
}

func checkPassword(password string) error {
	if len(password) < MinPassword || len(password) > MaxPassword {
		return towpath.Errorf(towpath.CodeInvalid, "a password has %d to %d characters", MinPassword, MaxPassword)
	}
	return nil
}

package secret

import (
	"crypto/aes"
	"crypto/cipher"
	"errors"
	"fmt"
	"slices"
)

// sealVersion is the first byte of what Seal returns: version, key id, nonce, ciphertext, tag.
const (
	sealVersion = 1
	headerBytes = 1 + keyIDBytes
)

// What can be wrong with a sealed value.
var (
	// ErrUnknownKey: it was sealed with a key that is not here.
	ErrUnknownKey = errors.New("sealed with a key that is not in the key file")
	// ErrTampered: it was changed, or belongs to another row.
	ErrTampered = errors.New("sealed value is damaged or belongs elsewhere")
)

// Seal encrypts plaintext with the newest key, by AES-256-GCM. It can be opened only with the same row, the
// identity of where it is stored, so that nobody moves a value to where they may use it.
func (ks Keys) Seal(row string, plaintext []byte) ([]byte, error) {
	if len(ks) == 0 {
		return nil, fmt.Errorf("seal a value: %w", ErrUnknownKey)
	}
	key := ks[len(ks)-1]
	gcm, err := key.gcm()
	if err != nil {
		return nil, fmt.Errorf("seal a value: %w", err)
	}
	header := append([]byte{sealVersion}, key.id[:]...)
	return gcm.Seal(slices.Clone(header), nil, plaintext, associated(header, row)), nil
}

// Open returns what was sealed for this row.
func (ks Keys) Open(row string, sealed []byte) ([]byte, error) {
	if len(sealed) < headerBytes || sealed[0] != sealVersion {
		return nil, fmt.Errorf("open a sealed value: %w", ErrTampered)
	}
	header, rest := sealed[:headerBytes], sealed[headerBytes:]
	at := slices.IndexFunc(ks, func(k Key) bool { return k.id == [keyIDBytes]byte(header[1:]) })
	if at < 0 {
		return nil, fmt.Errorf("open a sealed value of key %x: %w", header[1:], ErrUnknownKey)
	}
	gcm, err := ks[at].gcm()
	if err != nil {
		return nil, fmt.Errorf("open a sealed value: %w", err)
	}
	plaintext, err := gcm.Open(nil, nil, rest, associated(header, row))
	if err != nil {
		return nil, fmt.Errorf("open a sealed value: %w", ErrTampered)
	}
	return plaintext, nil
}

// IsCurrent says whether a sealed value was sealed with the newest key.
func (ks Keys) IsCurrent(sealed []byte) bool {
	return len(ks) > 0 && len(sealed) >= headerBytes && [keyIDBytes]byte(sealed[1:headerBytes]) == ks[len(ks)-1].id
}

func (k Key) gcm() (cipher.AEAD, error) {
	block, err := aes.NewCipher(k.material[:])
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

func associated(header []byte, row string) []byte { return append(slices.Clone(header), row...) }

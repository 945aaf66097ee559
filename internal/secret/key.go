// Package secret seals values that rest in the store, and masks them in what steps print.
package secret

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/towpath-cd/towpath/internal/durable"
)

const (
	keyBytes   = 32 // AES-256
	keyIDBytes = 8
	keyPrefix  = "towpath-key-1 "
)

// What can be wrong with a key file.
var (
	// ErrExposed: others than its owner may read the key file.
	ErrExposed = errors.New("the key file is readable by others; run chmod 600 on it")
	// ErrBadKeyFile: the file holds something else than keys.
	ErrBadKeyFile = errors.New("not a key file")
)

// Key is one AES-256 key. Its text never shows the key itself.
type Key struct {
	id       [keyIDBytes]byte
	material [keyBytes]byte
}

// NewKey returns a random key.
func NewKey() Key {
	var material [keyBytes]byte
	_, _ = rand.Read(material[:]) // never fails: it ends the process instead
	return keyOf(material)
}

// keyOf derives the key's name from the key, so that the name is right also in a file that was put together by
// hand.
func keyOf(material [keyBytes]byte) Key {
	k := Key{material: material}
	sum := sha256.Sum256(append([]byte("towpath key id\x00"), material[:]...))
	copy(k.id[:], sum[:])
	return k
}

// String names the key.
func (k Key) String() string { return fmt.Sprintf("key %x", k.id) }

// GoString names the key, so that %#v does not print it.
func (k Key) GoString() string { return k.String() }

// Keys are the keys of one server, the newest last: it seals, all of them open.
type Keys []Key

// LoadOrCreate returns the keys of the file, which is made with one new key when it is missing. Only its owner
// may read the file, else the error is ErrExposed.
func LoadOrCreate(path string) (Keys, error) {
	keys, err := Load(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return keys, err
	}
	return Rotate(path)
}

// Load returns the keys of the file.
func Load(path string) (Keys, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open the key file: %w", err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, fmt.Errorf("look at the key file: %w", err)
	}
	if isExposed(info) {
		return nil, fmt.Errorf("%s has mode %o: %w", path, info.Mode().Perm(), ErrExposed)
	}
	var content bytes.Buffer
	if _, err := content.ReadFrom(file); err != nil {
		return nil, fmt.Errorf("read the key file: %w", err)
	}
	keys, err := parseKeys(content.String())
	if err != nil {
		return nil, fmt.Errorf("read the key file %s: %w", path, err)
	}
	return keys, nil
}

// Rotate adds a new key to the file, which is made when it is missing, and returns all of them. What was sealed
// before can still be opened; sealing it again is the caller's.
func Rotate(path string) (Keys, error) {
	keys, err := Load(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	keys = append(keys, NewKey())
	// Durably: a key that has sealed something must not be lost.
	if err := durable.WriteFile(path, keys.encode()); err != nil {
		return nil, fmt.Errorf("write the key file: %w", err)
	}
	return keys, nil
}

func parseKeys(content string) (Keys, error) {
	var keys Keys
	for line := range strings.Lines(content) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		text, found := strings.CutPrefix(line, keyPrefix)
		raw, err := base64.StdEncoding.DecodeString(text)
		if !found || err != nil || len(raw) != keyBytes {
			return nil, ErrBadKeyFile // never with the line: it may be a mistyped key
		}
		keys = append(keys, keyOf([keyBytes]byte(raw)))
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("it holds no key: %w", ErrBadKeyFile)
	}
	return keys, nil
}

func (ks Keys) encode() []byte {
	var out bytes.Buffer
	out.WriteString("# Keys of a Towpath server, the newest last. Without this file no stored secret can be read.\n")
	for _, k := range ks {
		out.WriteString(keyPrefix + base64.StdEncoding.EncodeToString(k.material[:]) + "\n")
	}
	return out.Bytes()
}

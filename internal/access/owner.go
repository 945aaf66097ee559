package access

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/towpath-cd/towpath/internal/durable"
)

// ownerFile is the name of the file with the owner's token, in the server's data folder.
const ownerFile = "owner.token"

// ErrExposed says that others on the machine can read the owner's token.
var ErrExposed = errors.New("others can read the owner's token")

// OwnerToken answers the token of whoever owns the server's data folder: it may do everything. It is kept in a file
// that only they can read, and made anew where the file is missing.
func OwnerToken(folder string) (string, error) {
	path := filepath.Join(folder, ownerFile)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return newOwnerToken(path)
	}
	if err != nil {
		return "", fmt.Errorf("read the owner's token: %w", err)
	}
	if err := checkPrivate(path); err != nil {
		return "", err
	}
	token := strings.TrimSpace(string(text))
	if !strings.HasPrefix(token, ownerPrefix) || len(token) < len(newCredential(ownerPrefix)) {
		return "", fmt.Errorf("%s does not hold an owner's token; remove it to get a new one", path)
	}
	return token, nil
}

func newOwnerToken(path string) (string, error) {
	token := newCredential(ownerPrefix)
	if err := durable.WriteFile(path, []byte(token+"\n")); err != nil {
		return "", fmt.Errorf("make the owner's token: %w", err)
	}
	return token, nil
}

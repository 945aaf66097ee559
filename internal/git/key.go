package git

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"fmt"
	"strings"

	"golang.org/x/crypto/ssh"
)

// NewKey makes an SSH key (Ed25519): private in OpenSSH's form, and public as a line of authorized_keys with the comment.
func NewKey(comment string) (private, public string, err error) {
	open, closed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return "", "", fmt.Errorf("make an SSH key: %w", err)
	}
	block, err := ssh.MarshalPrivateKey(closed, comment)
	if err != nil {
		return "", "", fmt.Errorf("encode an SSH key: %w", err)
	}
	line, err := ssh.NewPublicKey(open)
	if err != nil {
		return "", "", fmt.Errorf("encode an SSH key: %w", err)
	}
	return string(pem.EncodeToMemory(block)), strings.TrimSpace(string(ssh.MarshalAuthorizedKey(line))) + " " + comment, nil
}

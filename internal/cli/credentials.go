package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/durable"
)

// credentials is what signing in left in the user's config folder. Only they can read the file.
type credentials struct {
	Current string           `json:"current,omitempty"` // address of the server that verbs speak to
	Servers map[string]login `json:"servers,omitempty"` // by address
}

// login is who somebody is on one server.
type login struct {
	Account string `json:"account"`
	Token   string `json:"token"`
}

func credentialsPath() (string, error) {
	folder, err := os.UserConfigDir()
	if err != nil {
		return "", fmt.Errorf("find the folder of the login: %w", err)
	}
	return filepath.Join(folder, "towpath", "credentials.json"), nil
}

// loadCredentials answers none where nobody signed in.
func loadCredentials() (credentials, error) {
	known := credentials{Servers: map[string]login{}}
	path, err := credentialsPath()
	if err != nil {
		return known, nil // a user without a config folder has not signed in
	}
	content, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return known, nil
	}
	if err != nil {
		return known, fmt.Errorf("read the login: %w", err)
	}
	if err := json.Unmarshal(content, &known); err != nil {
		return known, towpath.Errorf(towpath.CodeInvalid, "%s does not hold a login: %s", path, err).
			WithHint("remove it, and sign in again: towpath login")
	}
	return known, nil
}

func (k credentials) save() error {
	path, err := credentialsPath()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("keep the login: %w", err)
	}
	content, err := json.MarshalIndent(k, "", "  ")
	if err != nil {
		return fmt.Errorf("keep the login: %w", err)
	}
	return durable.WriteFile(path, append(content, '\n'))
}

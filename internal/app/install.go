package app

import (
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"

	"github.com/towpath-cd/towpath/internal/durable"
)

// TokenFile is where a worker that is a service finds the token that it registers with.
func TokenFile(data string) string { return filepath.Join(data, "registration.token") }

// PrepareWorker makes a worker's data folder, with its token in a file that only its account reads. Without a token the
// file stays as it is; without an account both are the caller's.
func PrepareWorker(data, token, account string) error {
	if err := os.MkdirAll(filepath.Dir(data), 0o755); err != nil { // steps that are kept apart may have to come through
		return fmt.Errorf("make the worker's data folder: %w", err)
	}
	if err := os.MkdirAll(data, 0o700); err != nil {
		return fmt.Errorf("make the worker's data folder: %w", err)
	}
	made := []string{data}
	if token != "" {
		if err := durable.WriteFile(TokenFile(data), []byte(token+"\n")); err != nil {
			return fmt.Errorf("write the worker's token: %w", err)
		}
		made = append(made, TokenFile(data))
	}
	if account == "" {
		return nil
	}
	return give(account, made)
}

// give makes files those of an account.
func give(account string, files []string) error {
	owner, err := user.Lookup(account)
	if err != nil {
		return fmt.Errorf("find the account: %w", err)
	}
	uid, errUID := strconv.Atoi(owner.Uid)
	gid, errGID := strconv.Atoi(owner.Gid)
	if errUID != nil || errGID != nil {
		return fmt.Errorf("files cannot be given to %s here", account)
	}
	for _, file := range files {
		if err := os.Chown(file, uid, gid); err != nil {
			return fmt.Errorf("give %s to %s: %w", file, account, err)
		}
	}
	return nil
}

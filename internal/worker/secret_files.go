package worker

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/towpath-cd/towpath/internal/confine"
)

// secretsFolder is where an attempt's secrets become files: in memory where the machine has a place for that, else in the
// worker's data folder. It is named before it is made.
func (a *attempt) secretsFolder(mark string) string {
	if len(a.lease.SecretFiles) == 0 {
		return ""
	}
	base, found := folderInMemory(func(dir string) bool { return a.guest == nil || confine.Closed(dir) == "" })
	if !found {
		base = a.dirs.secrets
	}
	return filepath.Join(base, "towpath-"+mark)
}

// putSecrets writes the secrets that the script sees as files, for its user alone.
func (a *attempt) putSecrets(dir string) error {
	if dir == "" {
		return nil
	}
	if err := errors.Join(os.MkdirAll(filepath.Dir(dir), 0o711), os.Mkdir(dir, 0o700)); err != nil {
		return fmt.Errorf("make the folder of the step's secrets: %w", err)
	}
	a.room.secrets = dir
	for name, value := range a.lease.SecretFiles {
		if err := putSecret(filepath.Join(dir, name), value); err != nil {
			return fmt.Errorf("write secret %s as a file: %w", name, err)
		}
	}
	if err := a.guest.own(dir); err != nil {
		return fmt.Errorf("give the step its secrets: %w", err)
	}
	return nil
}

// putSecret makes the file anew: where names differ in their letters' case alone, some file systems have one file for both.
func putSecret(path, value string) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = file.WriteString(value)
	return errors.Join(err, file.Close())
}

// secretPaths are what the variables of such secrets hold.
func (r room) secretPaths(files map[string]string) map[string]string {
	paths := make(map[string]string, len(files))
	for name := range files {
		paths[name] = filepath.Join(r.secrets, name)
	}
	return paths
}

// forgetSecrets removes the files, whatever the step has made of their folder.
func (b *beside) forgetSecrets() error {
	if b.Secrets == "" {
		return nil
	}
	if err := removeAll(b.Secrets); err != nil {
		return fmt.Errorf("remove a step's secrets: %w", err)
	}
	return nil
}

package supervise

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

// The files of an instance's folder.
const (
	specFile          = "spec.json"
	epochFile         = "epoch.json"
	epochLockFile     = "epoch.lock"
	stateFile         = "state.json"
	logFile           = "log"
	supervisorLogFile = "supervisor.log"
	socketFile        = "control.sock"
	lockFile          = "lock"
)

func readJSON(path string, into any) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, into); err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	return nil
}

func writeJSON(path string, value any) error {
	text, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return fmt.Errorf("encode %s: %w", path, err)
	}
	return writeFile(path, text)
}

// writeFile replaces a file whole, and returns when that would survive a power cut.
func writeFile(path string, content []byte) (err error) {
	file, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*.new") // mode 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(file.Name())
		}
	}()
	_, err = file.Write(content)
	if err == nil {
		err = file.Sync()
	}
	if closed := file.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return syncDir(filepath.Dir(path))
}

package supervise

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/towpath-cd/towpath/internal/durable"
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
	return durable.WriteFile(path, text)
}

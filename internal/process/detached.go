package process

import (
	"fmt"
	"os"
)

// StartDetached starts a process that outlives this one: in its own session, its output appended to spec.LogFile.
// Stdin, Stdout, Stderr, Grace and Group of spec are not used. While this process lives it reaps the other.
func StartDetached(spec Spec) (Identity, error) {
	if spec.Path == "" && len(spec.Args) == 0 {
		return Identity{}, ErrNoCommand
	}
	cmd := spec.command()
	cmd.Stdin, cmd.SysProcAttr = nil, detached()
	if spec.LogFile != "" {
		log, err := os.OpenFile(spec.LogFile, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			return Identity{}, fmt.Errorf("open log of %s: %w", spec.name(), err)
		}
		defer log.Close()
		cmd.Stdout, cmd.Stderr = log, log
	}
	if err := cmd.Start(); err != nil {
		return Identity{}, fmt.Errorf("start %s: %w", spec.name(), err)
	}
	id := identify(cmd.Process)
	go func() { _ = cmd.Wait() }()
	return id, nil
}

//go:build unix

package worker

import (
	"os"
	"os/exec"

	"github.com/creack/pty"

	"github.com/towpath-cd/towpath/client"
)

// openTerminal answers both ends of a new terminal: the one of who types, and the one of what runs.
func openTerminal() (person, program *os.File, err error) { return pty.Open() }

func resize(person *os.File, size client.ShellSize) error {
	return pty.Setsize(person, &pty.Winsize{Rows: size.Rows, Cols: size.Columns})
}

// shellCommand is the shell that a person is given.
func shellCommand() []string {
	if path, err := exec.LookPath("bash"); err == nil {
		return []string{path, "-i"}
	}
	return []string{"/bin/sh", "-i"}
}

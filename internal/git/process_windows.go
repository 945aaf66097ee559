package git

import (
	"os"
	"os/exec"
	"strconv"
)

// ownGroup lets a cancelled git take its transport helpers with it.
func ownGroup(cmd *exec.Cmd) {
	cmd.Cancel = func() error {
		tree := exec.Command("taskkill", "/T", "/F", "/PID", strconv.Itoa(cmd.Process.Pid))
		if tree.Run() == nil {
			return nil
		}
		return cmd.Process.Kill()
	}
}

// inherit does nothing: Windows ends no lock early, and what a killed fetch leaves is cleared by the next one.
func inherit(*exec.Cmd, *os.File) {}

// wasKilled is not known: a process that was ended by another has an exit code like any other.
func wasKilled(error) bool { return false }

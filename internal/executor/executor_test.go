package executor_test

import (
	"syscall"
	"testing"
	"time"

	"github.com/towpath-cd/towpath/internal/executor"
)

func TestHowAScriptEndedIsSaidInWords(t *testing.T) {
	tests := []struct {
		result executor.Result
		reason string
		passed bool
	}{
		{executor.Ended(0, 0), "", true},
		{executor.Ended(2, 0), "exited with status 2", false},
		{executor.Ended(126, 0), "exited with status 126 (a command could not be executed)", false},
		{executor.Ended(127, 0), "exited with status 127 (a command was not found)", false},
		{executor.Ended(137, 0), "exited with status 137 (a command was killed by signal 9 (out of memory?))", false},
		{executor.Ended(255, 0), "exited with status 255", false},
		{executor.Ended(-1, syscall.SIGKILL), "killed by signal 9 (out of memory?)", false},
		{executor.Ended(-1, syscall.SIGTERM), "killed by signal 15", false},
		{executor.Expired(time.Hour), "timed out after 1h", false},
		{executor.Expired(90 * time.Minute), "timed out after 1h30m", false},
		{executor.Expired(10 * time.Minute), "timed out after 10m", false},
		{executor.Expired(61 * time.Second), "timed out after 1m1s", false},
		{executor.Expired(100 * time.Hour), "timed out after 100h", false},
	}
	for _, tt := range tests {
		if tt.result.Reason != tt.reason || tt.result.Passed() != tt.passed {
			t.Errorf("%+v, want %q", tt.result, tt.reason)
		}
	}
}

package app

import (
	"os"
	"strings"
	"time"
)

// clockVariable names a file that moves this server's clock, as "24h" or "-90m" says. The tests move the clock of one
// server by it, while the machine's stays. It is read every time, so that the clock moves while the server runs.
const clockVariable = "TOWPATH_CLOCK"

// newClock answers the machine's clock, or the one that the variable asks for. What cannot be read does not move it.
func newClock() func() time.Time {
	path := os.Getenv(clockVariable)
	if path == "" {
		return time.Now
	}
	return func() time.Time {
		content, err := os.ReadFile(path)
		if err != nil {
			return time.Now()
		}
		by, err := time.ParseDuration(strings.TrimSpace(string(content)))
		if err != nil {
			return time.Now()
		}
		return time.Now().Round(0).Add(by) // without the monotonic reading, which does not move with a machine's clock either
	}
}

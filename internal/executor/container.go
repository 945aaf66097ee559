package executor

import (
	"errors"
	"strings"
)

// Pull says when an image is fetched from its registry.
type Pull string

// The ways to fetch an image.
const (
	PullMissing Pull = "missing" // where whoever runs it has none of that name
	PullAlways  Pull = "always"  // before each step
	PullNever   Pull = "never"
)

// Image is a container image.
type Image struct {
	Name string
	Pull Pull // empty: PullMissing
	// Credentials for its registry: user:password, or JSON as docker keeps it (config.json); empty: none.
	Credentials string
}

// ErrImage says that an image cannot be had.
var ErrImage = errors.New("the image cannot be had")

// ShellInside answers the words of the shell that runs a script in a container. It knows the shells that are told to stop at
// the first command that fails, where the file names no options.
func ShellInside(words string) []string {
	args := strings.Fields(words)
	switch {
	case len(args) == 0, len(args) == 1 && args[0] == "sh":
		return []string{"sh", "-eu"}
	case len(args) == 1 && args[0] == "bash":
		return []string{"bash", "-euo", "pipefail"}
	}
	return args
}

package config

import (
	"fmt"
	"slices"
	"time"

	"github.com/towpath-cd/towpath"
)

// DebugShell says which debug shells there are, and for how long.
type DebugShell struct {
	Allow towpath.ShellPolicy `yaml:"allow" env:"ALLOW"` // never, unprotected or always
	Idle  time.Duration       `yaml:"idle" env:"IDLE"`   // without anything typed, after which one ends
	Limit time.Duration       `yaml:"limit" env:"LIMIT"` // after which one ends in any case
}

// leastShell is the shortest time that a debug shell may be given.
const leastShell = time.Second

func (d DebugShell) wrong() (wrong []error) {
	if !slices.Contains(towpath.ShellPolicies, d.Allow) {
		wrong = append(wrong, fmt.Errorf("debug_shell.allow: %q; it has to be one of %v", d.Allow, towpath.ShellPolicies))
	}
	if d.Idle < leastShell || d.Limit < leastShell {
		wrong = append(wrong, fmt.Errorf("debug_shell: idle is %s and limit %s; both have to be %s or more", d.Idle, d.Limit, leastShell))
	}
	return wrong
}

package towpath

import (
	"slices"
	"time"
)

// WebProcess is the name of the process that serves requests: the target's own. The others run beside it.
const WebProcess = "web"

// ProcessDefinition is a process that runs beside the web process of an environment.
type ProcessDefinition struct {
	Name    string         // "jobs": lower-case letters, digits and dashes
	Command string         `json:",omitempty"` // run by sh -c in the release's folder
	Single  bool           `json:",omitempty"` // the environment's: at any moment at most one runs, of whatever release
	Stop    StopDefinition `json:",omitzero"`
}

// Beside lists the processes that every instance has beside its web process.
func (d EnvironmentDefinition) Beside() []ProcessDefinition {
	return slices.DeleteFunc(slices.Clone(d.Processes), func(p ProcessDefinition) bool { return p.Single })
}

// Process is what a target says of a process that an instance has beside its web process. An instance whose processes do
// not run is not healthy.
type Process struct {
	Name    string
	State   InstanceState
	Problem string    `json:",omitempty"` // why it does not run, or not for long
	Since   time.Time // since when it has been in its State
	Log     []string  `json:",omitempty"` // what it said last, where it does not run
}

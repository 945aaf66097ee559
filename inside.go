package towpath

import (
	"slices"
	"time"
)

// PullPolicy says when a container image is fetched from its registry.
type PullPolicy string

// The policies.
const (
	PullMissing PullPolicy = "missing" // where the worker has none of that name
	PullAlways  PullPolicy = "always"
	PullNever   PullPolicy = "never"
)

// NetworkNone is the network of a step that reaches nothing but itself and what stands beside it.
const NetworkNone = "none"

// ContainerDefinition is a container, with every default filled in.
type ContainerDefinition struct {
	Image       string
	Pull        PullPolicy
	Credentials string  `json:",omitempty"` // name of the secret for its registry; empty is none
	Memory      int64   `json:",omitempty"` // bytes; 0 is any amount, also of the next two
	CPUs        float64 `json:",omitempty"` // processors' time: 1.5 is one and a half
	Processes   int     `json:",omitempty"` // at a time; threads count as well
}

// ServiceDefinition is what runs beside a step, and ends with it. Without a container it is a command of the worker's
// machine.
type ServiceDefinition struct {
	Name      string // by which containers reach it
	Container *ContainerDefinition
	Command   string            // a script; with a container, instead of what its image begins with
	Env       map[string]string `json:",omitempty"`
	Ports     []int             `json:",omitempty"` // of the container, besides those of its image
	Ready     ReadyDefinition
	Within    time.Duration // then the step fails
}

// ReadyDefinition is how a service shows that it is ready; at most one field is set. Without any, it is once it runs.
type ReadyDefinition struct {
	TCP     int    `json:",omitempty"` // port that accepts
	HTTP    string `json:",omitempty"` // port and path that answer 2xx or 3xx: "8080/healthz"
	Command string `json:",omitempty"` // script that ends with 0
}

// Grants lists the secrets that the step needs: those of its script, and those by which its images are fetched.
func (d ScriptDefinition) Grants() []string {
	names := slices.Clone(d.Secrets)
	for _, c := range d.containers() {
		if c.Credentials != "" && !slices.Contains(names, c.Credentials) {
			names = append(names, c.Credentials)
		}
	}
	return names
}

func (d ScriptDefinition) containers() []ContainerDefinition {
	var all []ContainerDefinition
	if d.Inside != nil {
		all = append(all, *d.Inside)
	}
	for _, s := range d.Services {
		if s.Container != nil {
			all = append(all, *s.Container)
		}
	}
	return all
}

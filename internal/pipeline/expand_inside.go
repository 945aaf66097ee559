package pipeline

import (
	"strconv"
	"strings"

	"github.com/towpath-cd/towpath"
)

// inside writes what a script runs in, and beside.
func (w *writer) inside(s towpath.ScriptDefinition) {
	network := "host"
	if s.Network != "" {
		network = s.Network
	}
	w.put(2, "network", network)
	if s.Inside != nil {
		w.open(2, "inside")
		w.container(3, *s.Inside)
	}
	if len(s.Services) > 0 {
		w.open(2, "services")
	}
	for _, service := range s.Services {
		w.service(service)
	}
}

func (w *writer) container(level int, c towpath.ContainerDefinition) {
	w.put(level, "image", c.Image)
	w.put(level, "pull", string(c.Pull))
	w.put(level, "credentials", c.Credentials)
	if c.Memory > 0 {
		w.put(level, "memory", formatSize(c.Memory))
	}
	switch {
	case c.CPUs == 0:
	case c.CPUs >= 1 && c.CPUs == float64(int(c.CPUs)) && c.CPUs <= 1024:
		w.put(level, "cpus", int(c.CPUs))
	default:
		w.put(level, "cpus", strconv.FormatFloat(c.CPUs, 'f', -1, 64))
	}
	if c.Processes > 0 {
		w.put(level, "processes", c.Processes)
	}
}

func (w *writer) service(s towpath.ServiceDefinition) {
	w.open(3, s.Name)
	if s.Container != nil {
		w.container(4, *s.Container)
	}
	w.put(4, "command", s.Command)
	w.put(4, "env", s.Env)
	if len(s.Ports) > 0 {
		ports := make([]string, len(s.Ports))
		for i, port := range s.Ports {
			ports[i] = strconv.Itoa(port)
		}
		w.raw(4, "ports", "["+strings.Join(ports, ", ")+"]")
	}
	if s.Ready != (towpath.ReadyDefinition{}) {
		w.open(4, "ready")
		if s.Ready.TCP > 0 {
			w.put(5, "tcp", s.Ready.TCP)
		}
		w.put(5, "http", s.Ready.HTTP)
		w.put(5, "command", s.Ready.Command)
	}
	w.put(4, "within", s.Within)
}

// raw writes a value that is YAML already.
func (w *writer) raw(level int, key, value string) {
	w.WriteString(strings.Repeat("  ", level) + key + ": " + value + "\n")
}

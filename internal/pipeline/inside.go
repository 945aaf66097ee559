package pipeline

import (
	"fmt"
	"strconv"

	"github.com/towpath-cd/towpath"
)

// inside is the container of a step; nil where there is none.
func inside(v *value) *towpath.ContainerDefinition {
	switch {
	case v == nil || !v.given:
		return nil
	case v.text != "":
		return &towpath.ContainerDefinition{Image: v.text, Pull: towpath.PullMissing}
	}
	return containerOf(v)
}

func containerOf(v *value) *towpath.ContainerDefinition {
	c := &towpath.ContainerDefinition{
		Image: v.get("image").string(), Pull: towpath.PullPolicy(v.get("pull").string()), Credentials: v.get("credentials").string(),
		Memory: parseSize(v.get("memory").string()), CPUs: float64(v.get("cpus").int()), Processes: v.get("processes").int(),
	}
	if text := v.get("cpus").string(); text != "" {
		c.CPUs, _ = strconv.ParseFloat(text, 64) // its form was checked
	}
	return c
}

// services are in the order of the file, in which they are started.
func (b *builder) services(v *value) []towpath.ServiceDefinition {
	var all []towpath.ServiceDefinition
	for _, name := range v.keys() {
		if of := v.get(name); of != nil {
			all = append(all, b.service(name, of))
		}
	}
	return all
}

func (b *builder) service(name string, v *value) towpath.ServiceDefinition {
	s := towpath.ServiceDefinition{
		Name: name, Command: v.get("command").string(), Env: v.get("env").table(), Within: v.get("within").duration(),
		Ready: towpath.ReadyDefinition{
			TCP: v.get("ready", "tcp").int(), HTTP: v.get("ready", "http").string(), Command: v.get("ready", "command").string(),
		},
	}
	for _, port := range v.get("ports").each() {
		s.Ports = append(s.Ports, port.number)
	}
	switch {
	case v.has("image"):
		s.Container = containerOf(v)
	case s.Command == "" && !v.misread("image") && !v.misread("command"):
		b.wrong(v.key, fmt.Sprintf("the service %s has neither an image nor a command", name), "say what it is to run")
	}
	return s
}

// checkServices tells what services, and the network, cannot do together with the step's other keys.
func (b *builder) checkServices(v *value, s towpath.ScriptDefinition) {
	if s.Network == towpath.NetworkNone && s.Inside == nil && len(s.Services) > 0 && !v.misread("inside") {
		b.unfit(v.get("network").key, "a step of the worker's own shell reaches its services by the worker's network", "run it inside of a container, or take network out")
	}
	for _, service := range s.Services {
		of := v.get("services", service.Name)
		switch {
		case service.Container == nil && (len(service.Ports) > 0 || of.has("credentials") || of.has("memory") || of.has("cpus") || of.has("processes")):
			b.unfit(of.key, fmt.Sprintf("the service %s has settings of a container, and no image", service.Name), "give it an image, or take them out")
		case service.Container == nil && s.Inside != nil:
			b.unfit(of.key, fmt.Sprintf("the service %s is a command of the worker's machine, which a step inside of a container cannot reach", service.Name),
				"give it an image: the step's own will do")
		}
	}
}

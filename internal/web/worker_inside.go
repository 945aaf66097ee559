package web

import (
	"slices"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/client"
	"github.com/towpath-cd/towpath/internal/flow"
)

// secretsOf leaves out what only fetches images: the script does not see it.
func secretsOf(w *flow.Work) map[string]string {
	var seen map[string]string
	for name, value := range w.Secrets {
		if slices.Contains(w.Step.Script.Secrets, name) {
			if seen == nil {
				seen = map[string]string{}
			}
			seen[name] = value
		}
	}
	return seen
}

func containerOf(d *towpath.ContainerDefinition, secrets map[string]string) *client.Container {
	if d == nil {
		return nil
	}
	return &client.Container{
		Image: d.Image, Pull: string(d.Pull), Credentials: secrets[d.Credentials], Memory: d.Memory, CPUs: d.CPUs, Processes: d.Processes,
	}
}

func servicesOf(w *flow.Work) []client.Service {
	var all []client.Service
	for _, d := range w.Step.Script.Services {
		all = append(all, client.Service{
			Name: d.Name, Container: containerOf(d.Container, w.Secrets), Command: d.Command, Env: d.Env, Ports: d.Ports,
			Ready: client.Ready(d.Ready), Within: d.Within.Seconds(),
		})
	}
	return all
}

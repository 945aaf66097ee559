package web

import (
	"slices"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/client"
	"github.com/towpath-cd/towpath/internal/flow"
)

// secretsOf answers which secrets the script sees as variables and which as files. It leaves out what only fetches images.
func secretsOf(w *flow.Work) (variables, files map[string]string) {
	variables, files = map[string]string{}, map[string]string{}
	for name, value := range w.Secrets {
		switch d := w.Step.Script; {
		case slices.Contains(d.SecretFiles, name):
			files[name] = value
		case slices.Contains(d.Secrets, name):
			variables[name] = value
		}
	}
	return variables, files
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

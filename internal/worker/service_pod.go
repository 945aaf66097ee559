package worker

import (
	"context"
	"maps"
	"slices"
	"strconv"

	"github.com/towpath-cd/towpath/client"
	"github.com/towpath-cd/towpath/internal/executor/kubernetes"
)

// podService is a pod beside the step's.
type podService struct {
	*kubernetes.Serving
	name  string
	ports []int // that the pipeline file names
}

func (s *services) startPod(ctx context.Context, definition client.Service) (service, error) {
	port, path := portOf(definition.Ready)
	ready := kubernetes.Ready{TCP: definition.Ready.TCP, Command: definition.Ready.Command}
	if definition.Ready.HTTP != "" {
		ready.HTTP, ready.Path = port, path
	}
	serving, err := s.site.Serve(ctx, kubernetes.Service{
		Name: definition.Name, Image: imageOf(definition.Container), Limits: podLimits(definition.Container), Env: maps.Clone(definition.Env),
		Command: definition.Command, Ready: ready,
	})
	if err != nil {
		return nil, err
	}
	ports := slices.Clone(definition.Ports)
	if port > 0 {
		ports = append(ports, port)
	}
	slices.Sort(ports)
	return &podService{Serving: serving, name: definition.Name, ports: slices.Compact(ports)}, nil
}

func (p *podService) look(ctx context.Context, _ client.Ready) error { return p.AwaitReady(ctx) }

func (p *podService) variables(ready int) map[string]string {
	told := map[string]string{"HOST": p.name}
	for i, port := range p.ports {
		told["PORT_"+strconv.Itoa(port)] = strconv.Itoa(port)
		if i == 0 || port == ready {
			told["PORT"] = strconv.Itoa(port)
		}
	}
	return told
}

func (p *podService) ended(context.Context) (how string, ended bool) { return p.Ended() }

func (p *podService) log(ctx context.Context) []byte {
	log, err := p.Log(ctx)
	if err != nil {
		return []byte(err.Error())
	}
	return log
}

func (p *podService) stop() { p.Forget() } // it is taken down by its mark

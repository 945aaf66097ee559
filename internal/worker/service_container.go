package worker

import (
	"context"
	"strconv"

	"github.com/towpath-cd/towpath/client"
	"github.com/towpath-cd/towpath/internal/executor/docker"
)

// containerService is a container beside the step, in the step's network.
type containerService struct {
	*docker.Serving
	name     string
	isBeside bool // of a step inside of a container, which reaches it by its name
}

func (s *services) startContainer(ctx context.Context, definition client.Service) (service, error) {
	engine, err := s.engine()
	if err != nil {
		return nil, err
	}
	ports := definition.Ports
	if port, _ := portOf(definition.Ready); port > 0 {
		ports = append(ports, port)
	}
	serving, err := engine.Serve(ctx, docker.Service{
		Name: definition.Name, Image: imageOf(definition.Container), Limits: limitsOf(definition.Container), Env: pairs(definition.Env),
		Command: definition.Command, Ports: ports, Network: s.network, Publish: s.lease.Inside == nil, Mark: s.beside.Mark,
	}, s.output)
	if err != nil {
		return nil, err
	}
	return &containerService{Serving: serving, name: definition.Name, isBeside: s.lease.Inside != nil}, nil
}

func (c *containerService) look(ctx context.Context, ready client.Ready) error {
	return lookFromHere(ctx, ready, c)
}

func (c *containerService) address(port int) string { return c.Address(port) }

func (c *containerService) variables(ready int) map[string]string {
	told := map[string]string{"HOST": "127.0.0.1"}
	if c.isBeside {
		told["HOST"] = c.name
	}
	for i, port := range c.Ports {
		reached, ok := c.Published[port]
		if c.isBeside {
			reached, ok = port, true
		}
		if !ok {
			continue
		}
		told["PORT_"+strconv.Itoa(port)] = strconv.Itoa(reached)
		if i == 0 || port == ready {
			told["PORT"] = strconv.Itoa(reached)
		}
	}
	return told
}

func (c *containerService) try(ctx context.Context, command string) error { return c.Try(ctx, command) }

func (c *containerService) ended(ctx context.Context) (how string, ended bool) {
	ended, how, err := c.Ended(ctx)
	return how, ended && err == nil
}

func (c *containerService) log(ctx context.Context) []byte {
	log, err := c.Log(ctx)
	if err != nil {
		return []byte(err.Error())
	}
	return log
}

func (c *containerService) stop() {} // it is taken down by its mark

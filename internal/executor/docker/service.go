package docker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/netip"
	"runtime"
	"slices"
	"strconv"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"

	"github.com/towpath-cd/towpath/internal/executor"
)

// loopback is where ports are published.
const loopback = "127.0.0.1"

// logTail is how many lines are told of a service that failed.
const logTail = "200"

// Service is a container beside a step. It sees nothing of the step's files.
type Service struct {
	Name    string // by which others in its network reach it
	Image   executor.Image
	Limits  Limits
	Env     []string
	Command string // run by the image's sh, instead of what the image begins with; empty: that
	Ports   []int  // besides those that the image names
	Network string
	Publish bool // its ports on the loopback of the machine as well
	Mark    Mark
}

// Serving is a service that was started. Clear ends it.
type Serving struct {
	engine    *Engine
	id        string
	Ports     []int       // of the container, sorted
	Published map[int]int // port of the container → port of the machine's loopback
	address   string      // of the container, on the machine that the daemon is on
}

// Serve starts a service. How its image is fetched is told to out.
func (e *Engine) Serve(ctx context.Context, s Service, out io.Writer) (*Serving, error) {
	image, err := e.fetch(ctx, s.Image, out)
	if err != nil {
		return nil, err
	}
	if image.Config != nil {
		for named := range image.Config.ExposedPorts {
			if port, err := network.ParsePort(named); err == nil && port.Proto() == network.TCP {
				s.Ports = append(s.Ports, int(port.Num()))
			}
		}
	}
	slices.Sort(s.Ports)
	s.Ports = slices.Compact(s.Ports)
	s.Publish = s.Publish || runtime.GOOS != "linux" // elsewhere the daemon is in a machine of its own
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), callLimit)
	defer cancel()
	made, err := e.client.ContainerCreate(ctx, s.options(image))
	if err != nil {
		return nil, fmt.Errorf("make its container: %w", e.explained(err))
	}
	if _, err := e.client.ContainerStart(ctx, made.ID, client.ContainerStartOptions{}); err != nil {
		return nil, fmt.Errorf("start its container: %w", e.explained(err))
	}
	return e.serving(ctx, made.ID, s)
}

func (s Service) options(image client.ImageInspectResult) client.ContainerCreateOptions {
	exposed, bound := network.PortSet{}, network.PortMap{}
	for _, n := range s.Ports {
		port, ok := network.PortFrom(uint16(n), network.TCP)
		if !ok {
			continue
		}
		exposed[port] = struct{}{}
		if s.Publish {
			bound[port] = []network.PortBinding{{HostIP: netip.MustParseAddr(loopback)}}
		}
	}
	config := &container.Config{Image: image.ID, Env: s.Env, ExposedPorts: exposed, Labels: s.Mark.with(map[string]string{"io.towpath.service": s.Name})}
	if s.Command != "" {
		config.Entrypoint, config.Cmd = []string{"sh", "-c"}, []string{s.Command}
	}
	return client.ContainerCreateOptions{
		Config: config,
		HostConfig: &container.HostConfig{
			NetworkMode: container.NetworkMode(s.Network), PortBindings: bound, Init: new(true), Resources: s.Limits.resources(),
			LogConfig: container.LogConfig{Type: "local", Config: map[string]string{"max-size": "1m", "max-file": "1", "compress": "false"}},
		},
		NetworkingConfig: &network.NetworkingConfig{EndpointsConfig: map[string]*network.EndpointSettings{
			s.Network: {Aliases: []string{s.Name}},
		}},
	}
}

// serving finds out where a container that was started is reached.
func (e *Engine) serving(ctx context.Context, id string, s Service) (*Serving, error) {
	found, err := e.client.ContainerInspect(ctx, id, client.ContainerInspectOptions{})
	if err != nil {
		return nil, fmt.Errorf("look for its container: %w", e.explained(err))
	}
	serving := &Serving{engine: e, id: id, Ports: s.Ports, Published: map[int]int{}}
	settings := found.Container.NetworkSettings
	if settings == nil {
		return serving, nil
	}
	for endpoint := range maps.Values(settings.Networks) {
		if endpoint.IPAddress.IsValid() {
			serving.address = endpoint.IPAddress.String()
		}
	}
	for port, bound := range settings.Ports {
		for _, b := range bound {
			if n, err := strconv.Atoi(b.HostPort); err == nil {
				serving.Published[int(port.Num())] = n
			}
		}
	}
	return serving, nil
}

// Address is where the worker itself reaches a port of the service. It is the container's own address where that can be: a
// published port accepts before anything listens behind it.
func (s *Serving) Address(port int) string {
	if published, ok := s.Published[port]; ok && runtime.GOOS != "linux" {
		return net.JoinHostPort(loopback, strconv.Itoa(published))
	}
	return net.JoinHostPort(s.address, strconv.Itoa(port))
}

// Ended says whether the service has ended, and how.
func (s *Serving) Ended(ctx context.Context) (ended bool, how string, err error) {
	found, err := s.engine.client.ContainerInspect(ctx, s.id, client.ContainerInspectOptions{})
	if errdefs.IsNotFound(err) {
		return true, "its container was removed", nil
	}
	if err != nil {
		return false, "", s.engine.explained(err)
	}
	state := found.Container.State
	if state == nil || state.Running {
		return false, "", nil
	}
	how = fmt.Sprintf("exited with status %d", state.ExitCode)
	if state.OOMKilled {
		how += "; it ran out of memory"
	}
	return true, how, nil
}

// ErrNotReady is the answer of a command that ended with another status than 0.
var ErrNotReady = errors.New("not ready")

// Try runs a command inside of the service by its image's sh; ErrNotReady says that it failed.
func (s *Serving) Try(ctx context.Context, command string) error {
	made, err := s.engine.client.ExecCreate(ctx, s.id, client.ExecCreateOptions{
		Cmd: []string{"sh", "-c", command}, AttachStdout: true, AttachStderr: true,
	})
	if err != nil {
		return s.engine.explained(err)
	}
	attached, err := s.engine.client.ExecAttach(ctx, made.ID, client.ExecAttachOptions{})
	if err != nil {
		return s.engine.explained(err)
	}
	defer attached.Close()
	defer context.AfterFunc(ctx, attached.Close)()
	var said bytes.Buffer
	_, _ = stdcopy.StdCopy(&said, &said, attached.Reader)
	result, err := s.engine.client.ExecInspect(ctx, made.ID, client.ExecInspectOptions{})
	switch {
	case err != nil:
		return s.engine.explained(err)
	case result.Running || result.ExitCode != 0:
		return fmt.Errorf("%w: %s", ErrNotReady, bytes.TrimSpace(said.Bytes()[max(0, said.Len()-500):]))
	}
	return nil
}

// Log answers the end of what the service printed.
func (s *Serving) Log(ctx context.Context) ([]byte, error) {
	stream, err := s.engine.client.ContainerLogs(ctx, s.id, client.ContainerLogsOptions{ShowStdout: true, ShowStderr: true, Tail: logTail})
	if err != nil {
		return nil, s.engine.explained(err)
	}
	defer stream.Close()
	var log bytes.Buffer
	_, err = stdcopy.StdCopy(&log, &log, stream)
	return log.Bytes(), err
}

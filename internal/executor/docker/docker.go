// Package docker runs steps' scripts in containers of a docker daemon, and containers beside them.
//
// Whatever it makes carries labels, one of which is the [Mark] of one attempt: by it [Engine.Clear] removes all that an
// attempt has left, also one whose worker was killed, and nothing of anybody else.
package docker

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"sync"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/client"
)

// callLimit bounds a call that the daemon answers at once when it is well.
const callLimit = 2 * time.Minute

// markLabel holds the mark.
const markLabel = "io.towpath.mark"

// Engine is the docker daemon of this machine. It may be used by many goroutines.
type Engine struct {
	client *client.Client
	shells sync.Map // "image's ID, program" of those that were found
}

// Open finds the daemon as docker's own command does (DOCKER_HOST and others), without speaking to it.
func Open() (*Engine, error) {
	c, err := client.New(client.FromEnv)
	if err != nil {
		return nil, fmt.Errorf("find the docker daemon: %w", err)
	}
	return &Engine{client: c}, nil
}

// Close gives its connections back.
func (e *Engine) Close() error { return e.client.Close() }

// ErrNoDaemon says that no daemon answers.
var ErrNoDaemon = errors.New("this worker has no docker")

// Check says whether the daemon answers; the error is ErrNoDaemon with what to do.
func (e *Engine) Check(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	_, err := e.client.Ping(ctx, client.PingOptions{NegotiateAPIVersion: true})
	return e.explained(err)
}

// explained gives the errors of a daemon that is not there, or not for us, words of their own.
func (e *Engine) explained(err error) error {
	switch {
	case err == nil:
		return nil
	case client.IsErrConnectionFailed(err):
		return fmt.Errorf("%w: nothing answers at %s; start docker there, or have the step ask for a worker that has it (worker: {labels: […]})",
			ErrNoDaemon, e.client.DaemonHost())
	case errdefs.IsPermissionDenied(err):
		return fmt.Errorf("%w: it may not speak to %s; let the worker's user do so", ErrNoDaemon, e.client.DaemonHost())
	}
	return err
}

// Mark names an attempt: what is made for it is found by it again. It holds no secret.
type Mark struct {
	ID     string // of this attempt alone, on whatever worker
	Worker string // for people, as the rest
	Run    string
	Step   string
	Number int // of the attempt
}

func (m Mark) labels() map[string]string {
	return map[string]string{
		markLabel: m.ID, "io.towpath.worker": m.Worker, "io.towpath.run": m.Run, "io.towpath.step": m.Step,
		"io.towpath.attempt": strconv.Itoa(m.Number),
	}
}

func (m Mark) filters() client.Filters { return client.Filters{}.Add("label", markLabel+"="+m.ID) }

// with adds labels to the mark's.
func (m Mark) with(more map[string]string) map[string]string {
	labels := m.labels()
	maps.Copy(labels, more)
	return labels
}

// Clear removes the containers, networks and volumes of an attempt, whoever made them. What is gone is no error.
func (e *Engine) Clear(ctx context.Context, m Mark) error {
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	if m.ID == "" {
		return errors.New("clear containers: the attempt has no mark")
	}
	if err := e.clearContainers(ctx, m); err != nil {
		return e.explained(err)
	}
	networks, err := e.client.NetworkList(ctx, client.NetworkListOptions{Filters: m.filters()})
	if err != nil {
		return e.explained(err)
	}
	for _, n := range networks.Items {
		if _, err := e.client.NetworkRemove(ctx, n.ID, client.NetworkRemoveOptions{}); err != nil && !errdefs.IsNotFound(err) {
			return fmt.Errorf("remove network %s: %w", n.Name, err)
		}
	}
	return nil
}

// clearContainers takes their own volumes with them.
func (e *Engine) clearContainers(ctx context.Context, m Mark) error {
	containers, err := e.client.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: m.filters()})
	if err != nil {
		return err
	}
	for _, c := range containers.Items {
		if err := e.remove(ctx, c.ID); err != nil {
			return err
		}
	}
	return nil
}

// remove kills a container, and removes it with its volumes.
func (e *Engine) remove(ctx context.Context, id string) error {
	_, err := e.client.ContainerRemove(ctx, id, client.ContainerRemoveOptions{Force: true, RemoveVolumes: true})
	if err == nil || errdefs.IsNotFound(err) {
		return nil
	}
	if !errdefs.IsConflict(err) { // somebody removes it at this moment
		return fmt.Errorf("remove container %s: %w", id, err)
	}
	return e.awaitRemoval(ctx, id)
}

func (e *Engine) awaitRemoval(ctx context.Context, id string) error {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		_, err := e.client.ContainerInspect(ctx, id, client.ContainerInspectOptions{})
		if errdefs.IsNotFound(err) {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("remove container %s: %w", id, ctx.Err())
		}
	}
}

// Connect makes the network of an attempt, which Clear removes, and answers its ID. An internal one leads nowhere else.
func (e *Engine) Connect(ctx context.Context, m Mark, isInternal bool) (network string, err error) {
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	made, err := e.client.NetworkCreate(ctx, "towpath-"+m.ID, client.NetworkCreateOptions{Internal: isInternal, Labels: m.labels()})
	if err != nil {
		return "", fmt.Errorf("make the step's network: %w", e.explained(err))
	}
	return made.ID, nil
}

package docker_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"github.com/towpath-cd/towpath/internal/executor"
	"github.com/towpath-cd/towpath/internal/executor/docker"
	"github.com/towpath-cd/towpath/internal/executor/docker/dockertest"
)

// leave starts a container as a worker does that is killed then.
func leave(t *testing.T, d *dockertest.Daemon, m docker.Mark, network string) {
	t.Helper()
	made, err := d.ContainerCreate(t.Context(), client.ContainerCreateOptions{
		Config: &container.Config{
			Image: dockertest.Image, Entrypoint: []string{"sleep", "1000"}, Cmd: []string{}, Volumes: map[string]struct{}{"/data": {}},
			Labels: map[string]string{"io.towpath.mark": m.ID},
		},
		HostConfig: &container.HostConfig{NetworkMode: container.NetworkMode(network)},
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.ContainerStart(t.Context(), made.ID, client.ContainerStartOptions{}); err != nil {
		t.Fatal(err)
	}
}

type announcement struct {
	bytes.Buffer
	ready chan struct{}
}

func (a *announcement) Write(p []byte) (int, error) {
	had := strings.Contains(a.String(), "ready")
	n, err := a.Buffer.Write(p)
	if !had && strings.Contains(a.String(), "ready") {
		close(a.ready)
	}
	return n, err
}

func TestADaemonThatGoesAwayEndsTheStepWithItsReason(t *testing.T) {
	dockertest.Run(t, func(t *testing.T, d *dockertest.Daemon) {
		engine, b, out := open(t), box("gone"), &announcement{ready: make(chan struct{})}
		results := make(chan executor.Result, 1)
		go func() {
			result, err := engine.In(b).Run(t.Context(), executor.Script{
				Text: "echo ready; sleep 1000", Dir: t.TempDir(), Scratch: t.TempDir(), Output: out,
			})
			if err != nil {
				t.Error(err)
			}
			results <- result
		}()
		select {
		case <-out.ready:
		case result := <-results:
			t.Fatalf("%+v", result)
		case <-time.After(runLimit):
			t.Fatal("it never began")
		}
		d.Kill(t)
		select {
		case result := <-results:
			if result.Outcome != executor.BrokenOff || result.Passed() || !strings.Contains(result.Reason, "the docker daemon went away") {
				t.Errorf("%+v", result)
			}
		case <-time.After(runLimit):
			t.Fatal("it never ended")
		}
		mustBeWithoutDocker(t, engine, b)
		d.Start(t)
		if containers, _ := left(t, d, b.Mark.ID); containers != 1 {
			t.Errorf("%d containers are left", containers)
		}
		if err := engine.Clear(t.Context(), b.Mark); err != nil {
			t.Error(err)
		}
		if containers, _ := left(t, d, b.Mark.ID); containers != 0 {
			t.Errorf("%d containers are left", containers)
		}
	})
}

func mustBeWithoutDocker(t *testing.T, engine *docker.Engine, b docker.Box) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), runLimit)
	defer cancel()
	result, err := engine.In(b).Run(ctx, executor.Script{Text: "true", Dir: t.TempDir(), Scratch: t.TempDir(), Output: new(bytes.Buffer)})
	if err != nil || result.Outcome != executor.NotStarted || !strings.Contains(result.Reason, "this worker has no docker: nothing answers at unix://") {
		t.Errorf("%+v, %v", result, err)
	}
	for _, err := range []error{engine.Check(ctx), engine.Clear(ctx, b.Mark)} {
		if !errors.Is(err, docker.ErrNoDaemon) {
			t.Error(err)
		}
	}
}

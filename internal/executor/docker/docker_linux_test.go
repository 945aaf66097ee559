package docker_test

import (
	"testing"
	"time"

	"github.com/towpath-cd/towpath/internal/executor"
	"github.com/towpath-cd/towpath/internal/executor/docker"
	"github.com/towpath-cd/towpath/internal/executor/docker/dockertest"
	"github.com/towpath-cd/towpath/internal/executor/executortest"
)

func open(t *testing.T) *docker.Engine {
	t.Helper()
	engine, err := docker.Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := engine.Close(); err != nil {
			t.Error(err)
		}
	})
	return engine
}

func TestAContainerKeepsWhatAnExecutorPromises(t *testing.T) {
	dockertest.Run(t, func(t *testing.T, _ *dockertest.Daemon) {
		executortest.Way{
			New: func(t *testing.T) executor.Executor {
				return open(t).In(docker.Box{
					Image: executor.Image{Name: dockertest.Image, Pull: executor.PullNever}, User: "0:0", Mark: docker.Mark{ID: "suite"},
				})
			},
			Own:     []string{"PATH=/usr/local/bin:/bin", "IMAGE=busybox", "HOME=", "HOSTNAME="},
			Timeout: 3 * time.Second,
			IsSlow:  true,
		}.Run(t)
	})
}

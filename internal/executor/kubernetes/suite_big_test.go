//go:build big && linux

package kubernetes_test

import (
	"context"
	"crypto/rand"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/towpath-cd/towpath/internal/executor"
	"github.com/towpath-cd/towpath/internal/executor/executortest"
	"github.com/towpath-cd/towpath/internal/executor/kubernetes"
	"github.com/towpath-cd/towpath/internal/executor/kubernetes/clustertest"
)

// site is a new attempt's, of which nothing is left when the test ends.
func site(t *testing.T, c *clustertest.Cluster, images ...executor.Image) (*kubernetes.Site, kubernetes.Mark) {
	t.Helper()
	cluster, err := kubernetes.Open(kubernetes.Settings{Kubeconfig: c.Kubeconfig})
	if err != nil {
		t.Fatal(err)
	}
	mark := kubernetes.Mark{ID: strings.ToLower(rand.Text()), Worker: "barge-1", Run: "r1", Step: "test (linux, 1.26)", Number: 1}
	s, err := cluster.Begin(t.Context(), mark, images)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cluster.Clear(context.Background(), mark, cluster.Namespace()); err != nil {
			t.Error(err)
		}
	})
	return s, mark
}

func box() kubernetes.Box {
	return kubernetes.Box{
		Image: executor.Image{Name: clustertest.Image, Pull: executor.PullNever}, UID: int64(os.Getuid()), GID: int64(os.Getgid()),
	}
}

func TestAPodKeepsWhatAnExecutorPromises(t *testing.T) {
	clustertest.Run(t, func(t *testing.T, c *clustertest.Cluster) {
		executortest.Way{
			New: func(t *testing.T) executor.Executor {
				s, _ := site(t, c)
				return s.In(box())
			},
			Own:     []string{"PATH=/usr/local/bin:/bin", "IMAGE=busybox", "HOME=", "HOSTNAME="},
			Timeout: 10 * time.Second,
			IsSlow:  true,
		}.Run(t)
	})
}

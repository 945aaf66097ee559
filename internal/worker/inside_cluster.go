package worker

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/towpath-cd/towpath/client"
	"github.com/towpath-cd/towpath/internal/executor"
	"github.com/towpath-cd/towpath/internal/executor/kubernetes"
)

// isInCluster says whether a step runs in pods.
func (w *worker) isInCluster(l *client.StepLease) bool { return w.Kubernetes != nil && l.Inside != nil }

// surroundInCluster is surround for such a step.
func (a *attempt) surroundInCluster(ctx context.Context, s *surroundings, home string) (err error) {
	if err := a.mustSuitPods(); err != nil {
		return err
	}
	if s.beside, err = a.stand(&beside{Namespace: a.Kubernetes.Namespace()}, 0); err != nil {
		return err
	}
	if err := a.putSecrets(s.beside.Secrets); err != nil {
		return err
	}
	images := []executor.Image{imageOf(a.lease.Inside)}
	for _, service := range a.lease.Services {
		images = append(images, imageOf(service.Container))
	}
	site, err := a.Kubernetes.Begin(ctx, kubernetes.Mark(s.beside.Mark), images)
	if err != nil {
		return err
	}
	s.services = &services{attempt: a, site: site, beside: s.beside, home: home}
	if s.env, err = s.services.begin(ctx); err != nil {
		return err
	}
	mirror, err := a.mirrors.of(a.lease.Repository)
	if err != nil {
		return err
	}
	box := kubernetes.Box{
		Image: images[0], Limits: podLimits(a.lease.Inside), UID: int64(os.Getuid()), GID: int64(os.Getgid()),
		Folders: append(a.cachedAt(home), a.room.outputs), ReadOnly: []string{filepath.Join(mirror.Dir(), "objects")},
	}
	if a.room.secrets != "" {
		box.ReadOnly = append(box.ReadOnly, a.room.secrets)
	}
	s.way = site.In(box)
	return nil
}

// mustSuitPods refuses what would silently not be so in a pod.
func (a *attempt) mustSuitPods() error {
	if a.lease.Network == noNetwork {
		return fmt.Errorf("%w: network: none: whether a pod's network is closed is the cluster's network plugin's to say; "+
			"have the step ask for a worker with docker", kubernetes.ErrUnsupported)
	}
	for _, service := range a.lease.Services {
		if service.Container == nil {
			return fmt.Errorf("%w: service %s: a command of the worker's machine, which pods do not reach; give it an image",
				kubernetes.ErrUnsupported, service.Name)
		}
		if err := podLimits(service.Container).Check(); err != nil {
			return fmt.Errorf("service %s: %w", service.Name, err)
		}
	}
	return podLimits(a.lease.Inside).Check()
}

// cachedAt are the files and folders below HOME that later steps are to find.
func (a *attempt) cachedAt(home string) []string {
	var paths []string
	for _, c := range a.lease.Caches {
		for _, path := range c.Paths {
			if below, isOfHome := strings.CutPrefix(path, homeMark); isOfHome && filepath.IsLocal(below) {
				paths = append(paths, filepath.Join(home, below))
			}
		}
	}
	return paths
}

func podLimits(c *client.Container) kubernetes.Limits {
	return kubernetes.Limits{Memory: c.Memory, CPUs: c.CPUs, Processes: int64(c.Processes)}
}

// clearCluster removes what a step has in the cluster that this worker knows.
func (w *worker) clearCluster(b *beside) error {
	if w.Kubernetes == nil {
		return fmt.Errorf("it is in Kubernetes, in the namespace %s: start this worker with --kubernetes again", b.Namespace)
	}
	return w.Kubernetes.Clear(context.Background(), kubernetes.Mark(b.Mark), b.Namespace) // which bounds itself
}

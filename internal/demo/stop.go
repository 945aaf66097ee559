package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/process"
	"github.com/towpath-cd/towpath/internal/supervise"
)

// stageFile says in the folder of a demo what runs there.
const stageFile = "stage.json"

// grace is how long a process may take to end by itself.
const grace = 25 * time.Second

// Stop ends everything that a demo left running in its folder, and removes the folder.
func Stop(ctx context.Context, folder string) error {
	s := &stage{folder: folder}
	text, err := os.ReadFile(s.path(stageFile))
	if err == nil {
		err = json.Unmarshal(text, s)
	}
	if err != nil {
		return towpath.Errorf(towpath.CodeNotFound, "there is no demo in %s", folder).
			WithHint("towpath demo --keep says at its end how to stop it")
	}
	if err := s.stop(ctx); err != nil {
		return err
	}
	return os.RemoveAll(folder)
}

// stop ends the worker first, so that nobody mends what is being ended; then what the worker has left running, as it
// should in any other case; then the proxy with the sockets that it has put aside; the server last.
func (s *stage) stop(ctx context.Context) error {
	errs := []error{s.end(ctx, "worker"), s.endInstances(ctx), s.end(ctx, "proxy"), s.endHolder(ctx), s.end(ctx, "server")}
	return errors.Join(errs...)
}

// end asks a process to end, and kills it where it does not.
func (s *stage) end(ctx context.Context, name string) error {
	a := s.actor(name)
	if a == nil {
		return nil
	}
	id := a.Identity
	hasEnded := func(context.Context) bool { return !process.Alive(id) }
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		if err := process.Signal(id, signal); err != nil && !errors.Is(err, process.ErrGone) {
			return fmt.Errorf("end the %s: %w", name, err)
		}
		limited, cancel := context.WithTimeout(ctx, grace)
		err := until(limited, hasEnded)
		cancel()
		if err == nil {
			return nil
		}
	}
	return fmt.Errorf("the %s (process %d) does not end", name, id.PID)
}

// endInstances stops every instance by its supervisor, all at once.
func (s *stage) endInstances(ctx context.Context) error {
	roots, err := filepath.Glob(filepath.Join(s.path("worker"), "instances", "*", "*", "run"))
	if err != nil {
		return fmt.Errorf("find the instances: %w", err)
	}
	supervisors := supervise.Client{Command: []string{s.program(), "supervise"}}
	stops := new(errgroup.Group)
	for _, root := range roots {
		instances, err := supervise.List(root)
		if err != nil {
			return err
		}
		for _, i := range instances {
			stops.Go(func() error {
				_, err := supervisors.Stop(ctx, i.Dir, supervise.Epoch{Number: i.State.Epoch.Number + 1, Holder: "demo"})
				return err
			})
		}
	}
	return stops.Wait()
}

// endHolder ends the small process that keeps the proxy's sockets open while no proxy runs.
func (s *stage) endHolder(ctx context.Context) error {
	if s.actor("proxy") == nil {
		return nil
	}
	stop, err := process.Start(ctx, process.Spec{
		Path: s.program(), Args: []string{s.program(), "proxy", "stop", "--data", s.path("proxy")}, Env: environment(),
	})
	if err != nil {
		return err
	}
	result, err := stop.Wait()
	if err == nil && result.ExitCode != 0 {
		err = fmt.Errorf("towpath proxy stop ended with %d", result.ExitCode)
	}
	return err
}

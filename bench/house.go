package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/towpath-cd/towpath/client"
	"github.com/towpath-cd/towpath/internal/proxy/control"
)

// server is a Towpath server with one that may do everything.
type server struct {
	*process
	*client.Client
	dir string
}

// startServer starts a server and waits until it answers, and until its worker, if it has one inside, is there.
func (s *stage) startServer(ctx context.Context, args ...string) (*server, error) {
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	return s.startServerAt(ctx, address, args...)
}

// startServerAt starts a server at an address; a second time, it is the same one again.
func (s *stage) startServerAt(ctx context.Context, address string, args ...string) (*server, error) {
	dir := s.path("server")
	p, err := s.start("server", nil, append([]string{s.towpath, "server", "--data", dir, "--listen", address, "--proxy-data", s.path("proxy")}, args...)...)
	if err != nil {
		return nil, err
	}
	if _, err := p.firstLine(); err != nil {
		return nil, err
	}
	token, err := os.ReadFile(s.path("server", "owner.token"))
	if err != nil {
		return nil, fmt.Errorf("read the owner's token: %w", err)
	}
	c, err := client.New("http://"+address, strings.TrimSpace(string(token)))
	return &server{process: p, Client: c, dir: dir}, err
}

// awaitWorker waits until a worker is registered.
func (s *server) awaitWorker(ctx context.Context) error {
	return until(ctx, "a worker", func() (bool, error) {
		workers, err := s.Workers(ctx)
		return len(workers) > 0, err
	})
}

// startWorker starts a worker beside the server, as it runs on another machine.
func (s *stage) startWorker(ctx context.Context, of *server, args ...string) (*process, error) {
	token, err := of.NewWorkerToken(ctx)
	if err != nil {
		return nil, fmt.Errorf("make a worker's token: %w", err)
	}
	p, err := s.startWorkerAgain(of, append([]string{"--token", token.Token}, args...)...)
	if err != nil {
		return nil, err
	}
	return p, of.awaitWorker(ctx)
}

// startWorkerAgain starts the worker that is registered already.
func (s *stage) startWorkerAgain(of *server, args ...string) (*process, error) {
	return s.start("worker", nil, append([]string{
		s.towpath, "worker", "--server", of.Address(), "--data", s.path("worker"), "--proxy-data", s.path("proxy"),
	}, args...)...)
}

// trafficProxy is a Towpath proxy, and who may give it orders.
type trafficProxy struct {
	*process
	*control.Client
	address string
}

// startProxy starts a proxy, and waits until it takes orders. A second one on the folder takes over from the first.
func (s *stage) startProxy(ctx context.Context, address string) (*trafficProxy, error) {
	if address == "" {
		var err error
		if address, err = freeAddress(); err != nil {
			return nil, err
		}
	}
	p, err := s.start("proxy", nil, s.towpath, "proxy", "--data", s.path("proxy"), "--listen", address)
	if err != nil {
		return nil, err
	}
	orders := control.New(control.Options{DataDir: s.path("proxy")})
	err = until(ctx, "the proxy", func() (bool, error) {
		state, err := orders.State(ctx)
		return err == nil && state.PID == p.pid(), err
	})
	return &trafficProxy{process: p, Client: orders, address: address}, err
}

// finish waits for a run's end. A run that did not pass is an error.
func (s *server) finish(ctx context.Context, run client.Run) (client.Run, error) {
	last := run
	err := s.FollowRun(ctx, run.Pipeline, run.Number, func(r client.Run) error {
		last = r
		return nil
	})
	if err == nil && last.State != "passed" {
		err = fmt.Errorf("run %s #%d: %s %s", run.Pipeline, run.Number, last.State, explain(last))
	}
	return last, err
}

// explain tells why steps did not pass.
func explain(run client.Run) string {
	var reasons []string
	for _, step := range run.Steps {
		if step.State != "passed" {
			reasons = append(reasons, step.Name+": "+step.State+" "+step.Reason)
		}
	}
	return strings.Join(reasons, "; ")
}

// seconds as the pipeline file writes them.
func seconds(d time.Duration) string { return strconv.Itoa(int(d/time.Second)) + "s" }

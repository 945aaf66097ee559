package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/towpath-cd/towpath/client"
	"github.com/towpath-cd/towpath/internal/access"
	"github.com/towpath-cd/towpath/internal/config"
	"github.com/towpath-cd/towpath/internal/confine"
	"github.com/towpath-cd/towpath/internal/executor/kubernetes"
	"github.com/towpath-cd/towpath/internal/worker"
)

// WorkerOptions are what a worker process is told.
type WorkerOptions struct {
	Config  config.Worker
	Data    string // folder
	Server  string // address
	Token   string // one-time registration token; may be empty, or the same again, where the worker registered before
	Version string
	Command []string // of this program, for the processes that it starts
	Private string   // folder that holds Data and more that steps are not to see; empty: Data
	Log     *slog.Logger
	Ready   func(name string)
}

// Worker runs a worker until ctx ends: steps and the environments that it keeps. What it deployed runs on.
func Worker(ctx context.Context, o WorkerOptions) (err error) {
	if err := os.MkdirAll(o.Data, 0o700); err != nil {
		return fmt.Errorf("make the worker's data folder: %w", err)
	}
	unlock, err := lockFolder(o.Data) // before a token is used up, or another's environments are taken over
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	apart, err := isolationOf(o)
	if err != nil {
		return err
	}
	if err := noteProxy(o.Data, o.Config.Proxy); err != nil {
		return err
	}
	cluster, err := openCluster(o.Config) // before a token is used up
	if err != nil {
		return err
	}
	key, err := workerKey(ctx, o)
	if err != nil {
		return err
	}
	server, err := client.New(o.Server, key)
	if err != nil {
		return err
	}
	defer server.Close()
	if o.Ready != nil {
		o.Ready(o.Config.Name)
	}
	parts, ctx := errgroup.WithContext(ctx)
	parts.Go(func() error { return introduce(ctx, o, server) })
	parts.Go(func() error {
		return worker.Run(ctx, worker.Options{
			Client: server, DataDir: filepath.Join(o.Data, "steps"), Version: o.Version, Name: o.Config.Name, Slots: o.Config.Slots,
			Logger: o.Log.With("room", "worker"), PassEnv: o.Config.PassEnv, Isolation: apart, Kubernetes: cluster,
		})
	})
	parts.Go(func() error { return keepEnvironments(ctx, o, server) })
	return parts.Wait()
}

// ConfineVerb has this program be the helper of steps that are kept apart.
const ConfineVerb = "confine"

func isolationOf(o WorkerOptions) (worker.Isolation, error) {
	if err := o.Config.Check(); err != nil {
		return worker.Isolation{}, err
	}
	folder, err := filepath.Abs(cmp.Or(o.Private, o.Data))
	if err != nil {
		return worker.Isolation{}, fmt.Errorf("find the worker's data folder: %w", err)
	}
	return worker.Isolation{
		Level: o.Config.Isolation, Users: o.Config.IsolationUsers, Folder: folder, Helper: append(slices.Clone(o.Command), ConfineVerb),
		Limits: confine.Limits{
			Memory: int64(o.Config.StepMemory), CPUs: o.Config.StepCPUs, Processes: o.Config.StepProcesses,
		},
	}, nil
}

// openCluster answers the cluster where steps run; nil where that is not wanted.
func openCluster(c config.Worker) (*kubernetes.Cluster, error) {
	k := c.Kubernetes
	if !k.On {
		return nil, nil
	}
	if c.Isolation != "" && c.Isolation != confine.None {
		return nil, errors.New("a worker has --kubernetes or --isolation, not both: run a second one with a data folder of its own")
	}
	return kubernetes.Open(kubernetes.Settings{
		Kubeconfig: k.Kubeconfig, Context: k.Context, Namespace: k.Namespace, Helper: k.HelperImage,
	})
}

// embeddedWorker starts a worker inside the server, through the same client and the same calls as any other.
func embeddedWorker(ctx context.Context, o ServerOptions, guard *access.Guard, address string, failed chan<- error) (stop func() error, err error) {
	token, _, err := guard.NewRegistration(ctx, "towpath")
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		err := Worker(ctx, WorkerOptions{
			Config: o.Config.Worker, Data: filepath.Join(o.Config.Data, "worker"), Private: o.Config.Data, Server: "http://" + address,
			Token: token, Version: o.Version, Command: o.Command, Log: o.Log,
		})
		if err != nil {
			failed <- fmt.Errorf("the worker inside the server: %w", err)
		}
	}()
	return func() error { cancel(); <-ended; return nil }, nil
}

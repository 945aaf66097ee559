package cli

import (
	"context"
	"fmt"
	"os"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/towpath-cd/towpath/internal/app"
	"github.com/towpath-cd/towpath/internal/config"
	"github.com/towpath-cd/towpath/internal/service"
)

// newWorkerCommand is "towpath worker".
func newWorkerCommand(console *Console) *cobra.Command {
	w := workerWish{WorkerOptions: app.WorkerOptions{Config: config.DefaultWorker()}}
	command := &cobra.Command{
		Use:   "worker",
		Short: "Run a worker: it runs steps and keeps environments",
		Long: "Runs a worker until it is interrupted. The first start takes a one-time token (towpath workers token);\n" +
			"afterwards the worker knows its own key. What it deployed on this machine runs on without it. towpath worker install\n" +
			"has the machine start it.",
		Example: "  towpath worker --server https://towpath.example.com --token twr_…\n  towpath worker --slots 4 --label gpu",
		Args:    cobra.NoArgs,
	}
	w.flags(command.Flags())
	command.RunE = func(command *cobra.Command, _ []string) error {
		o, err := w.options()
		if err != nil {
			return err
		}
		o.Version, o.Command, o.Log = ownVersion(), ownCommand(), logger(console, false)
		o.Ready = func(name string) { fmt.Fprintf(console.Err, "towpath worker %s: connected to %s\n", name, o.Server) }
		return service.Run(command.Context(), workerService, func(ctx context.Context) error { return app.Worker(ctx, o) })
	}
	command.AddCommand(newWorkerInstallCommand(console), newWorkerUninstallCommand(console))
	return command
}

// workerWish is what a worker is told by flags.
type workerWish struct {
	app.WorkerOptions
	tokenFile string
}

func (w *workerWish) flags(f *pflag.FlagSet) {
	f.StringVar(&w.Server, "server", fallback(os.Getenv("TOWPATH_SERVER"), "http://"+config.DefaultListen), "the server's address")
	f.StringVar(&w.Token, "token", os.Getenv("TOWPATH_WORKER_TOKEN"), "one-time token, for the first start")
	f.StringVar(&w.tokenFile, "token-file", "", "file with the one-time token")
	f.StringVar(&w.Data, "data", config.DefaultData("worker"), "the worker's data folder")
	f.StringVar(&w.Config.Name, "name", w.Config.Name, "name among the workers")
	f.StringSliceVar(&w.Config.Labels, "label", nil, "labels that steps may ask for")
	f.IntVar(&w.Config.Slots, "slots", w.Config.Slots, "steps at a time")
	f.StringSliceVar(&w.Config.PassEnv, "pass-env", nil, "variables that steps get besides PATH")
	k := &w.Config.Kubernetes
	f.BoolVar(&k.On, "kubernetes", k.On, "run the steps that are inside of a container as Jobs of a Kubernetes cluster")
	f.StringVar(&k.Kubeconfig, "kubeconfig", k.Kubeconfig, "file that names the cluster; by default as kubectl, or the service account of the worker's pod")
	f.StringVar(&k.Context, "context", k.Context, "context of that file; by default its current one")
	f.StringVar(&k.Namespace, "namespace", k.Namespace, "namespace of the Jobs; by default the context's, or that of the worker's pod")
	f.StringVar(&k.HelperImage, "helper-image", k.HelperImage, "image that carries files into the pods and back, with sh, tar, cat, tail, wc and sleep; by default the step's own")
	f.StringVar(&w.Config.Proxy, "proxy-data", w.Config.Proxy, "data folder of the proxy on this machine")
	isolationFlags(f, &w.Config)
}

// isolationFlags are those of how steps are kept apart, with the limits that this allows.
func isolationFlags(f *pflag.FlagSet, w *config.Worker) {
	f.TextVar(&w.Isolation, "isolation", w.Isolation, "how far steps are kept apart: none, user (users of their own) or namespaces (worlds of their own)")
	f.TextVar(&w.IsolationUsers, "isolation-users", w.IsolationUsers, "users that steps run as when they are kept apart, two a slot at least")
	f.TextVar(&w.StepMemory, "step-memory", w.StepMemory, "memory of a step in namespaces, like 4GB; 0B is any amount")
	f.Float64Var(&w.StepCPUs, "step-cpus", w.StepCPUs, "processors' time of a step in namespaces, like 1.5; 0 is any amount")
	f.IntVar(&w.StepProcesses, "step-processes", w.StepProcesses, "processes and threads of a step in namespaces, at a time")
}

// options reads the token where it is in a file. One that is gone was used: the worker knows its own key by now, or says so.
func (w *workerWish) options() (app.WorkerOptions, error) {
	if w.tokenFile == "" {
		return w.WorkerOptions, nil
	}
	token, err := os.ReadFile(w.tokenFile)
	if err != nil && !os.IsNotExist(err) {
		return w.WorkerOptions, fmt.Errorf("read the worker's token: %w", err)
	}
	o := w.WorkerOptions
	o.Token = strings.TrimSpace(string(token))
	return o, nil
}

func fallback(value, otherwise string) string {
	if value == "" {
		return otherwise
	}
	return value
}

func ownVersion() string { return builtFrom(debug.ReadBuildInfo()).Version }

// ownCommand starts this program again, for the small processes that outlive it.
func ownCommand() []string {
	path, err := os.Executable()
	if err != nil {
		path = os.Args[0]
	}
	return []string{path}
}

package cli

import (
	"fmt"
	"os"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/towpath-cd/towpath/internal/app"
	"github.com/towpath-cd/towpath/internal/config"
)

// newWorkerCommand is "towpath worker".
func newWorkerCommand(console *Console) *cobra.Command {
	o := app.WorkerOptions{Config: config.DefaultWorker()}
	command := &cobra.Command{
		Use:   "worker",
		Short: "Run a worker: it runs steps and keeps environments",
		Long: "Runs a worker until it is interrupted. The first start takes a one-time token (towpath workers token);\n" +
			"afterwards the worker knows its own key. What it deployed on this machine runs on without it.",
		Example: "  towpath worker --server https://towpath.example.com --token twr_…\n  towpath worker --slots 4 --label gpu",
	}
	f := command.Flags()
	f.StringVar(&o.Server, "server", fallback(os.Getenv("TOWPATH_SERVER"), "http://"+config.DefaultListen), "the server's address")
	f.StringVar(&o.Token, "token", os.Getenv("TOWPATH_WORKER_TOKEN"), "one-time token, for the first start")
	f.StringVar(&o.Data, "data", config.DefaultData("worker"), "the worker's data folder")
	f.StringVar(&o.Config.Name, "name", o.Config.Name, "name among the workers")
	f.StringSliceVar(&o.Config.Labels, "label", nil, "labels that steps may ask for")
	f.IntVar(&o.Config.Slots, "slots", o.Config.Slots, "steps at a time")
	f.StringSliceVar(&o.Config.PassEnv, "pass-env", nil, "variables that steps get besides PATH")
	f.StringVar(&o.Config.Proxy, "proxy-data", o.Config.Proxy, "data folder of the proxy on this machine")
	command.RunE = func(command *cobra.Command, _ []string) error {
		o.Version, o.Command, o.Log = ownVersion(), ownCommand(), logger(console, false)
		o.Ready = func(name string) { fmt.Fprintf(console.Err, "towpath worker %s: connected to %s\n", name, o.Server) }
		return app.Worker(command.Context(), o)
	}
	return command
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

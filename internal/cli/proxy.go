package cli

import (
	"fmt"
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/towpath-cd/towpath/internal/app"
	"github.com/towpath-cd/towpath/internal/config"
	"github.com/towpath-cd/towpath/internal/proxy"
	"github.com/towpath-cd/towpath/internal/proxy/control"
	"github.com/towpath-cd/towpath/internal/supervise"
)

// newProxyCommand is "towpath proxy".
func newProxyCommand(console *Console) *cobra.Command {
	var o proxy.Options
	command := &cobra.Command{
		Use:   "proxy",
		Short: "Run the proxy that moves traffic between releases on this machine",
		Long: "Runs the proxy until it is interrupted. It takes orders on a socket in its data folder. A small holder process\n" +
			"keeps the listening sockets open, so that a restart, an upgrade or a kill refuses no connection; starting a\n" +
			"second proxy on the same folder hands the traffic over to it.",
		Example: "  towpath proxy --listen :80\n  towpath proxy --data /srv/towpath-proxy --listen 127.0.0.1:8080\n  towpath proxy stop",
	}
	f := command.PersistentFlags()
	f.StringVar(&o.DataDir, "data", config.DefaultData("proxy"), "the proxy's data folder")
	command.Flags().StringSliceVar(&o.Listen, "listen", []string{"127.0.0.1:8480"}, "addresses for requests of every host")
	command.RunE = func(command *cobra.Command, _ []string) error {
		o.Logger = logger(console, false)
		o.HoldCommand = append(ownCommand(), "hold")
		o.Ready = func(control.State) { fmt.Fprintf(console.Err, "towpath proxy: %v\n", o.Listen) }
		return app.Proxy(command.Context(), o)
	}
	command.AddCommand(newProxyStopCommand(&o))
	return command
}

// newProxyStopCommand is "towpath proxy stop".
func newProxyStopCommand(o *proxy.Options) *cobra.Command {
	return &cobra.Command{
		Use:     "stop",
		Short:   "End the proxy's holder, and with it the listening sockets",
		Example: "  towpath proxy stop",
		RunE: func(command *cobra.Command, _ []string) error {
			return proxy.StopHolder(command.Context(), o.DataDir)
		},
	}
}

// newHoldCommand is "towpath hold", which a proxy starts.
func newHoldCommand(console *Console) *cobra.Command {
	return &cobra.Command{
		Use:     "hold FOLDER",
		Short:   "Keep a proxy's listening sockets open",
		Example: "  towpath hold /srv/towpath-proxy",
		Args:    cobra.ExactArgs(1),
		Hidden:  true,
		RunE: func(command *cobra.Command, args []string) error {
			return proxy.Hold(command.Context(), proxy.HoldOptions{DataDir: args[0], Logger: logger(console, false)})
		},
	}
}

// newSuperviseCommand is "towpath supervise", which a keeper starts above each instance.
func newSuperviseCommand(console *Console) *cobra.Command {
	return &cobra.Command{
		Use:     "supervise FOLDER",
		Short:   "Keep one instance running",
		Example: "  towpath supervise /srv/towpath/instances/shop.production/r42-7",
		Args:    cobra.ExactArgs(1),
		Hidden:  true,
		RunE: func(command *cobra.Command, args []string) error {
			return supervise.Run(command.Context(), supervise.Options{Dir: args[0], Logger: slog.New(slog.DiscardHandler)})
		},
	}
}

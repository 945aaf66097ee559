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
	command.Flags().StringVar(&o.ControlAddress, "control", "", "host:port to take orders on from keepers of other machines, such as :8481; see `towpath proxy key`")
	command.Flags().StringSliceVar(&o.Listen, "listen", []string{"127.0.0.1:8480"}, "addresses for requests of every host")
	command.RunE = func(command *cobra.Command, _ []string) error {
		o.Logger = logger(console, false)
		o.HoldCommand = append(ownCommand(), "hold")
		o.Ready = func(control.State) { fmt.Fprintf(console.Err, "towpath proxy: %v\n", o.Listen) }
		return app.Proxy(command.Context(), o)
	}
	command.AddCommand(newProxyStopCommand(&o), newProxyKeyCommand(console, &o))
	return command
}

// newProxyKeyCommand is "towpath proxy key".
func newProxyKeyCommand(console *Console, o *proxy.Options) *cobra.Command {
	renew := false
	command := &cobra.Command{
		Use:   "key",
		Short: "Print the key by which keepers of other machines give orders to this proxy",
		Long: "Prints the key of the proxy whose data folder it is, and makes it where there is none yet. Whoever has it can move\n" +
			"this proxy's traffic. It is kept as a secret of the project, and an environment names it:\n" +
			"balancer: {proxy: {at: \"lb1:8481\", key: PROXY_KEY}}.",
		Example: "  towpath proxy key | towpath secret put shop PROXY_KEY --environment production\n  towpath proxy key --renew",
		Args:    cobra.NoArgs,
	}
	command.Flags().BoolVar(&renew, "renew", false, "make another key, which counts instead of the old one when the proxy is started again")
	command.RunE = func(command *cobra.Command, _ []string) error {
		key, err := proxy.Key(command.Context(), o.DataDir, renew)
		if err == nil {
			_, err = fmt.Fprintln(console.Out, key)
		}
		return err
	}
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

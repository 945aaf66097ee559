package cli

import (
	"fmt"
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/towpath-cd/towpath/internal/app"
	"github.com/towpath-cd/towpath/internal/config"
)

// newServerCommand is "towpath server".
func newServerCommand(console *Console) *cobra.Command {
	var path string
	flags := config.DefaultServer()
	command := &cobra.Command{
		Use:   "server",
		Short: "Run the server, with a worker inside unless told not to",
		Long: "Runs the server until it is interrupted. Everything that lasts is in one data folder.\n\n" +
			"Settings come from defaults, then the file of --config, then TOWPATH_… in the environment, then flags.\n" +
			"The first start prints a one-time link for the first administrator. The token of whoever owns the data\n" +
			"folder is in its file owner.token.",
		Example: "  towpath server\n  towpath server --data /srv/towpath --listen 0.0.0.0:8470 --url https://towpath.example.com\n" +
			"  towpath server --no-worker",
	}
	f := command.Flags()
	f.StringVar(&path, "config", "", "settings file, YAML")
	f.StringVar(&flags.Data, "data", flags.Data, "folder of everything that lasts")
	f.StringVar(&flags.Listen, "listen", flags.Listen, "address to listen on")
	f.StringVar(&flags.URL, "url", "", "where people reach the server (default http://LISTEN)")
	f.BoolVar(&flags.Worker.Off, "no-worker", false, "start no worker inside the server")
	f.IntVar(&flags.Worker.Slots, "slots", flags.Worker.Slots, "steps at a time of the worker inside")
	f.StringVar(&flags.Worker.Proxy, "proxy-data", flags.Worker.Proxy, "data folder of the proxy on this machine")
	f.StringSliceVar(&flags.Worker.PassEnv, "pass-env", nil, "variables that steps get besides PATH")
	isolationFlags(f, &flags.Worker)
	f.StringVar(&flags.Alerts.Webhook, "alert-webhook", "", "address that alerts are posted to")
	f.TextVar(&flags.LogLimit, "log-limit", flags.LogLimit, "how much is kept of what one step prints, like 256MB")
	f.TextVar(&flags.ArtifactLimit, "artifact-limit", flags.ArtifactLimit, "how much one artifact may have, like 20GB")
	f.IntVar(&flags.ArtifactFiles, "artifact-files", flags.ArtifactFiles, "how many files one artifact may have")
	f.TextVar(&flags.CacheLimit, "cache-limit", flags.CacheLimit, "how much the steps of one project keep in its cache, like 10GB")
	command.RunE = func(command *cobra.Command, _ []string) error {
		settings, err := config.LoadServer(path)
		if err != nil {
			return err
		}
		override(&settings, flags, command.Flags().Changed)
		if err := settings.Finish(); err != nil {
			return err
		}
		return app.Server(command.Context(), app.ServerOptions{
			Config: settings, Version: ownVersion(), Command: ownCommand(), Log: logger(console, settings.LogJSON),
			Ready: func(url, link string) { tellReady(console, url, link) },
		})
	}
	return command
}

// override lets the flags that were given win.
func override(s *config.Server, flags config.Server, given func(string) bool) {
	for name, set := range map[string]func(){
		"data":            func() { s.Data = flags.Data },
		"listen":          func() { s.Listen = flags.Listen },
		"url":             func() { s.URL = flags.URL },
		"no-worker":       func() { s.Worker.Off = flags.Worker.Off },
		"slots":           func() { s.Worker.Slots = flags.Worker.Slots },
		"proxy-data":      func() { s.Worker.Proxy = flags.Worker.Proxy },
		"pass-env":        func() { s.Worker.PassEnv = flags.Worker.PassEnv },
		"isolation":       func() { s.Worker.Isolation = flags.Worker.Isolation },
		"isolation-users": func() { s.Worker.IsolationUsers = flags.Worker.IsolationUsers },
		"step-memory":     func() { s.Worker.StepMemory = flags.Worker.StepMemory },
		"step-cpus":       func() { s.Worker.StepCPUs = flags.Worker.StepCPUs },
		"step-processes":  func() { s.Worker.StepProcesses = flags.Worker.StepProcesses },
		"alert-webhook":   func() { s.Alerts.Webhook = flags.Alerts.Webhook },
		"log-limit":       func() { s.LogLimit = flags.LogLimit },
		"artifact-limit":  func() { s.ArtifactLimit = flags.ArtifactLimit },
		"artifact-files":  func() { s.ArtifactFiles = flags.ArtifactFiles },
		"cache-limit":     func() { s.CacheLimit = flags.CacheLimit },
	} {
		if given(name) {
			set()
		}
	}
}

// ready is what a server says once it answers.
type ready struct {
	URL       string `json:"url"`
	FirstLink string `json:"first_link,omitempty"`
}

func tellReady(console *Console, url, link string) {
	text := "towpath server: " + url
	if link != "" {
		text += "\nfirst administrator, once: " + link
	}
	if err := console.Show(ready{URL: url, FirstLink: link}, text); err != nil {
		fmt.Fprintln(console.Err, err)
	}
}

// logger writes what happens to standard error.
func logger(console *Console, asJSON bool) *slog.Logger {
	if asJSON || console.JSON {
		return slog.New(slog.NewJSONHandler(console.Err, nil))
	}
	return slog.New(slog.NewTextHandler(console.Err, nil))
}

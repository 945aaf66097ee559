package cli

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/client"
)

// newCancelCommand is "towpath cancel".
func newCancelCommand(console *Console) *cobra.Command {
	return &cobra.Command{
		Use:   "cancel [RUN]",
		Short: "Stop a run",
		Long: "Stops a run's steps. A deployment that is under way goes on to its end: towpath rollback goes back instead.\n" +
			runHelp + " Without RUN it is the only one that is running.",
		Example: "  towpath cancel shop#128",
		Args:    cobra.MaximumNArgs(1),
		RunE: console.remote(func(ctx context.Context, server *client.Client, args []string) error {
			run, err := runToCancel(ctx, server, first(args))
			if err != nil {
				return err
			}
			run, err = server.CancelRun(ctx, run.Pipeline, run.Number)
			if err != nil {
				return err
			}
			text := runName(run) + " is " + reasoned(run.State, run.Reason)
			if !hasEnded(run) {
				text = runName(run) + " is stopping; what it does now is ended first"
			}
			return console.Show(run, text)
		}),
	}
}

func runToCancel(ctx context.Context, server *client.Client, name string) (client.Run, error) {
	if name != "" {
		return findRun(ctx, server, name)
	}
	running, err := server.Runs(ctx, client.RunFilter{State: unfinished})
	if err != nil {
		return client.Run{}, err
	}
	switch len(running) {
	case 0:
		return client.Run{}, towpath.Errorf(towpath.CodeNotFound, "nothing is running")
	case 1:
		return running[0], nil
	}
	var names []string
	for _, r := range running {
		names = append(names, runName(r))
	}
	return client.Run{}, usage("which run?", "one of "+strings.Join(names, ", "))
}

package cli

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/towpath-cd/towpath/client"
)

// newEnvironmentCommand is "towpath environment".
func newEnvironmentCommand(console *Console) *cobra.Command {
	command := &cobra.Command{
		Use: "environment", Short: "Take an environment down", Example: "  towpath environment remove staging",
	}
	command.AddCommand(newEnvironmentRemoveCommand(console))
	return command
}

// newEnvironmentRemoveCommand is "towpath environment remove".
func newEnvironmentRemoveCommand(console *Console) *cobra.Command {
	var reason string
	var yes, detach bool
	command := &cobra.Command{
		Use:   "remove ENV",
		Short: "Take down everything of an environment, once you have seen what that is",
		Long: "Shows what will be taken down, and asks: every instance with its files, and its share of traffic, which drains first.\n" +
			"What was deployed there stays on record. The next deployment brings the environment back. " + environmentHelp,
		Example: "  towpath environment remove staging\n  towpath environment remove shop/review-42 --yes --reason \"merged\"",
		Args:    cobra.ExactArgs(1),
	}
	f := command.Flags()
	f.StringVar(&reason, "reason", "", "why, for the record")
	f.BoolVarP(&yes, "yes", "y", false, "do not ask")
	f.BoolVar(&detach, "detach", false, "do not wait until it is down")
	command.RunE = console.remote(func(ctx context.Context, server *client.Client, args []string) error {
		e, err := findEnvironment(ctx, server, args[0])
		if err != nil {
			return err
		}
		plan, err := server.PlanOfRemoval(ctx, e.Key)
		if err != nil {
			return err
		}
		if !console.JSON {
			if err := console.Show(plan, strings.TrimRight(plan.Text, "\n")+"\n"); err != nil {
				return err
			}
		}
		if err := console.confirm("take down "+e.Key+"?", yes); err != nil {
			return err
		}
		d, err := server.RemoveEnvironment(ctx, e.Key, reason)
		if err != nil {
			return err
		}
		return console.awaitDeployment(ctx, server, d, detach)
	})
	return command
}

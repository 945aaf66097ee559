package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/towpath-cd/towpath/client"
)

// environmentChange is what promote, freeze, thaw and unpin have in common.
type environmentChange struct {
	use, short, long, example string
	do                        func(context.Context, *client.Client, string) (client.Environment, error)
	done                      string // after the environment's key
}

func (c *Console) environmentCommand(change environmentChange) *cobra.Command {
	return &cobra.Command{
		Use:     change.use,
		Short:   change.short,
		Long:    joined("\n", change.long, environmentHelp),
		Example: change.example,
		Args:    cobra.ExactArgs(1),
		RunE: c.remote(func(ctx context.Context, server *client.Client, args []string) error {
			e, err := findEnvironment(ctx, server, args[0])
			if err != nil {
				return err
			}
			if e, err = change.do(ctx, server, e.Key); err != nil {
				return err
			}
			return c.Show(e, e.Key+" "+change.done)
		}),
	}
}

// newPromoteCommand is "towpath promote".
func newPromoteCommand(console *Console) *cobra.Command {
	return console.environmentCommand(environmentChange{
		use: "promote ENV", short: "Let traffic move where the strategy waits for a person", example: "  towpath promote production",
		do: func(ctx context.Context, server *client.Client, key string) (client.Environment, error) {
			return server.Promote(ctx, key)
		},
		done: "is promoted; traffic moves now",
	})
}

// newFreezeCommand is "towpath freeze".
func newFreezeCommand(console *Console) *cobra.Command {
	var reason string
	command := console.environmentCommand(environmentChange{
		use: "freeze ENV", short: "Let no deployment start in an environment", long: "A rollback may start all the same.",
		example: "  towpath freeze production --reason \"christmas sale\"",
		do: func(ctx context.Context, server *client.Client, key string) (client.Environment, error) {
			return server.Freeze(ctx, key, reason)
		},
		done: "is frozen; towpath thaw ends that",
	})
	command.Flags().StringVar(&reason, "reason", "", "why, for whoever is refused")
	return command
}

// newThawCommand is "towpath thaw".
func newThawCommand(console *Console) *cobra.Command {
	return console.environmentCommand(environmentChange{
		use: "thaw ENV", short: "End a freeze", example: "  towpath thaw production",
		do: func(ctx context.Context, server *client.Client, key string) (client.Environment, error) {
			return server.Thaw(ctx, key)
		},
		done: "takes deployments again",
	})
}

// newUnpinCommand is "towpath unpin".
func newUnpinCommand(console *Console) *cobra.Command {
	return console.environmentCommand(environmentChange{
		use: "unpin ENV", short: "Lift the pin that a rollback left", example: "  towpath unpin production",
		long: "Runs may then deploy again what was gone back from.",
		do: func(ctx context.Context, server *client.Client, key string) (client.Environment, error) {
			return server.Unpin(ctx, key)
		},
		done: "is not pinned any more",
	})
}

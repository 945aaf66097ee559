package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/towpath-cd/towpath/client"
)

// environmentChange is what promote and unpin have in common.
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
			return c.changeEnvironment(ctx, server, args[0], change.done, func(key string) (client.Environment, error) {
				return change.do(ctx, server, key)
			})
		}),
	}
}

// changeEnvironment does something to the environment that a person means, and says that it is done.
func (c *Console) changeEnvironment(ctx context.Context, server *client.Client, name, done string, do func(key string) (client.Environment, error)) error {
	e, err := findEnvironment(ctx, server, name)
	if err != nil {
		return err
	}
	if e, err = do(e.Key); err != nil {
		return err
	}
	return c.Show(e, e.Key+" "+done)
}

// newPromoteCommand is "towpath promote".
func newPromoteCommand(console *Console) *cobra.Command {
	return console.environmentCommand(environmentChange{
		use: "promote ENV", short: "Let traffic move where the strategy waits for a person", example: "  towpath promote production",
		do: func(ctx context.Context, server *client.Client, key string) (client.Environment, error) {
			return server.Promote(ctx, key, client.Promotion{})
		},
		done: "is promoted; traffic moves now",
	})
}

// newGoneCommand is "towpath gone".
func newGoneCommand(console *Console) *cobra.Command {
	return &cobra.Command{
		Use:   "gone ENV PROCESS",
		Short: "Say that a single process does not run any more on a host that does not answer",
		Long: "A single process is started nowhere else while the host where it may run does not answer. Once you know that it does not\n" +
			"run there, as that machine is off, say so: it is started on another host then, and ended where it was should that host\n" +
			"come back. " + environmentHelp,
		Example: "  towpath gone production clock",
		Args:    cobra.ExactArgs(2),
		RunE: console.remote(func(ctx context.Context, server *client.Client, args []string) error {
			return console.changeEnvironment(ctx, server, args[0], "does without "+args[1]+" where it was: it is started elsewhere", func(key string) (client.Environment, error) {
				return server.Gone(ctx, key, client.Gone{Process: args[1]})
			})
		}),
	}
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

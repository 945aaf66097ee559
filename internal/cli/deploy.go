package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/towpath-cd/towpath/client"
)

// newDeployCommand is "towpath deploy".
func newDeployCommand(console *Console) *cobra.Command {
	var wish client.Deploy
	var detach bool
	command := &cobra.Command{
		Use:   "deploy ENV RELEASE",
		Short: "Make a release live in an environment, and wait until it is",
		Long: "Makes a release the goal of an environment and follows its deployment to the end. It fails unless the release is\n" +
			"live then. An interrupt stops the watching, not the deployment. towpath plan shows beforehand what will be done.\n" + environmentHelp,
		Example: "  towpath deploy production 42\n  towpath deploy shop/production 41 --reason \"42 is too slow\" --detach",
		Args:    cobra.ExactArgs(2),
	}
	command.Flags().StringVar(&wish.Reason, "reason", "", "why, for the record")
	command.Flags().BoolVar(&detach, "detach", false, "do not wait for the deployment to end")
	command.RunE = console.remote(func(ctx context.Context, server *client.Client, args []string) (err error) {
		if wish.Release, err = releaseNumber(args[1]); err != nil {
			return err
		}
		e, err := findEnvironment(ctx, server, args[0])
		if err != nil {
			return err
		}
		d, err := server.Deploy(ctx, e.Key, wish)
		if err != nil {
			return err
		}
		return console.awaitDeployment(ctx, server, d, detach)
	})
	return command
}

// awaitDeployment follows a deployment to its end, unless nobody wants to wait.
func (c *Console) awaitDeployment(ctx context.Context, server *client.Client, d client.Deployment, detach bool) error {
	if detach {
		return c.Show(d, fmt.Sprintf("release %d for %s is %s\nsee it: towpath environments %s", d.Release, d.Environment, d.State, d.Environment))
	}
	return c.newWatch(server, d).run(ctx)
}

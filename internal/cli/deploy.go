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
		Use:   "deploy ENV [RELEASE]",
		Short: "Make a release live in an environment, and wait until it is",
		Long: "Makes a release the goal of an environment and follows its deployment to the end. It fails unless the release is\n" +
			"live then. With --from it is the release that is live in another environment of the pipeline: the same bytes, behind\n" +
			"the gates (approvals, branches, windows, freezes) of the one that it goes to. An interrupt stops the watching,\n" +
			"not the deployment. towpath plan shows beforehand what will be done.\n" + environmentHelp,
		Example: "  towpath deploy production 42\n  towpath deploy shop/production --from staging\n  towpath deploy shop/production 41 --reason \"42 is too slow\" --detach",
		Args:    cobra.RangeArgs(1, 2),
	}
	command.Flags().StringVar(&wish.Reason, "reason", "", "why, for the record")
	command.Flags().BoolVar(&detach, "detach", false, "do not wait for the deployment to end")
	command.Flags().StringVar(&wish.From, "from", "", "name of the environment whose live release it is, instead of RELEASE")
	command.Flags().IntVar(&wish.Release, "release", 0, "the same as RELEASE")
	command.RunE = console.remote(func(ctx context.Context, server *client.Client, args []string) (err error) {
		if len(args) == 2 {
			if wish.Release, err = releaseNumber(args[1]); err != nil {
				return err
			}
		}
		if (wish.From == "") == (wish.Release == 0) {
			return usage("which release?", "towpath deploy "+word(args[0])+" RELEASE, or --from ENVIRONMENT")
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

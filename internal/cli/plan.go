package cli

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/towpath-cd/towpath/client"
)

// newPlanCommand is "towpath plan".
func newPlanCommand(console *Console) *cobra.Command {
	return &cobra.Command{
		Use:   "plan ENV [RELEASE]",
		Short: "Show what deploying a release would do, and do nothing",
		Long: "Shows the operations, each with its reason, and what they cost: downtime, the way back, the schema. Without\n" +
			"RELEASE it is what the environment does by itself now. " + environmentHelp,
		Example: "  towpath plan production 42\n  towpath plan shop/production",
		Args:    cobra.RangeArgs(1, 2),
		RunE: console.remote(func(ctx context.Context, server *client.Client, args []string) error {
			release := 0
			if len(args) == 2 {
				var err error
				if release, err = releaseNumber(args[1]); err != nil {
					return err
				}
			}
			e, err := findEnvironment(ctx, server, args[0])
			if err != nil {
				return err
			}
			plan, err := server.Plan(ctx, e.Key, release)
			if err != nil {
				return err
			}
			return console.Show(plan, strings.TrimRight(plan.Text, "\n"))
		}),
	}
}

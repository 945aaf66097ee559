package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/towpath-cd/towpath/client"
)

// newRerunCommand is "towpath rerun".
func newRerunCommand(console *Console) *cobra.Command {
	var wish client.Rerun
	var detach bool
	command := &cobra.Command{
		Use:   "rerun RUN",
		Short: "Run a run again, or a part of it, and follow the new one to its end",
		Long: "Makes a new run of the same change by the same plan. With --failed, --step or --from, what is not run again keeps its\n" +
			"results and artifacts, and is shown as taken over. Approvals are always asked again. A repetition of an older change\n" +
			"does not replace a newer release by itself: towpath deploy does.\n" + runHelp,
		Example: "  towpath rerun shop#128\n  towpath rerun shop#128 --failed\n  towpath rerun shop#128 --from unit --new-plan",
		Args:    cobra.ExactArgs(1),
		RunE: console.remote(func(ctx context.Context, server *client.Client, args []string) error {
			run, err := findRun(ctx, server, args[0])
			if err != nil {
				return err
			}
			made, err := server.RerunRun(ctx, run.Pipeline, run.Number, wish)
			if err != nil {
				return err
			}
			if detach {
				return console.Show(made, fmt.Sprintf("started %s, which repeats %s\nfollow it: towpath status %s --follow",
					runTitle(made), runName(run), runName(made)))
			}
			return console.followRun(ctx, server, made)
		}),
	}
	command.Flags().BoolVar(&wish.Failed, "failed", false, "only what did not pass, and all behind it")
	command.Flags().StringVar(&wish.Step, "step", "", "only this step; what it needs has to have passed")
	command.Flags().StringVar(&wish.From, "from", "", "only this step, and all behind it")
	command.Flags().BoolVar(&wish.NewPlan, "new-plan", false, "read the pipeline file again, instead of the plan that the run had")
	command.Flags().BoolVar(&detach, "detach", false, "do not wait for the run to end")
	command.MarkFlagsMutuallyExclusive("failed", "step", "from")
	return command
}

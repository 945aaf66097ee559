package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/towpath-cd/towpath/client"
)

// newRunsCommand is "towpath runs".
func newRunsCommand(console *Console) *cobra.Command {
	filter := client.RunFilter{Limit: 20}
	command := &cobra.Command{
		Use:     "runs [PROJECT]",
		Short:   "List runs, newest first",
		Example: "  towpath runs\n  towpath runs shop --branch main --state failed --limit 100",
		Args:    cobra.MaximumNArgs(1),
	}
	command.Flags().StringVar(&filter.Pipeline, "pipeline", "", "of this pipeline only")
	command.Flags().StringVar(&filter.Branch, "branch", "", "of this branch only")
	command.Flags().StringVar(&filter.State, "state", "", "running, passed, failed, canceled or superseded")
	command.Flags().IntVar(&filter.Limit, "limit", filter.Limit, "how many, at most 500")
	command.Flags().IntVar(&filter.Before, "before", 0, "only runs of the --pipeline with a lower number than this")
	command.RunE = console.remote(func(ctx context.Context, server *client.Client, args []string) error {
		filter.Project = first(args)
		runs, err := server.Runs(ctx, filter)
		if err != nil {
			return err
		}
		return console.Show(listed(runs), console.runTable(runs).or("no runs"))
	})
	return command
}

func (c *Console) runTable(runs []client.Run) *table {
	i, now := c.ink(), c.now()
	t := newTable(i, "", "run", "change", "state", "began")
	for _, r := range runs {
		t.add(i.mark(r.State), fmt.Sprintf("%s #%d", r.Pipeline, r.Number), changeOf(r), runState(r, now), ago(r.CreatedAt, now))
	}
	return t
}

// runState is a run's state with what it has taken, or taken so far.
func runState(r client.Run, now time.Time) string {
	ended := r.FinishedAt
	if ended.IsZero() {
		ended = now
	}
	return joined(" ", r.State, lasted(ended.Sub(r.CreatedAt)))
}

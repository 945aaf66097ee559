package cli

import (
	"context"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/client"
)

// newChangesCommand is "towpath changes".
func newChangesCommand(console *Console) *cobra.Command {
	var page client.Page
	command := &cobra.Command{
		Use:   "changes [PROJECT]",
		Short: "List what was seen of a project's repository and asked of it, and what became of it, newest first",
		Long: "Lists changes: pushes, tags, pull requests, times of schedules, runs that others follow, and runs that people asked\n" +
			"for, each with its outcome and the reason for it. A tag stands as tags/NAME, a pull request as pull/NUMBER.\n" +
			"Without PROJECT it is the only one there is.",
		Example: "  towpath changes shop\n  towpath changes shop --limit 500 --json\n  towpath changes shop --before 1041",
		Args:    cobra.MaximumNArgs(1),
		RunE: console.remote(func(ctx context.Context, server *client.Client, args []string) error {
			project, err := findProject(ctx, server, args)
			if err != nil {
				return err
			}
			changes, err := server.ChangePage(ctx, project, page)
			if err != nil {
				return err
			}
			return console.Show(listed(changes), console.changeTable(changes).or("no changes"))
		}),
	}
	command.Flags().IntVar(&page.Limit, "limit", 0, "how many, up to 500 (default 50)")
	command.Flags().StringVar(&page.Before, "before", "", "only those before the change of this ID")
	command.AddCommand(newChangesAllowCommand(console))
	return command
}

func newChangesAllowCommand(console *Console) *cobra.Command {
	return &cobra.Command{
		Use:   "allow PROJECT ID",
		Short: "Let a pull request from a fork run, once you have read it",
		Long: "Lets a change run that is held, because its author may not push to the repository. Read it first: its scripts run on\n" +
			"your workers, without secrets. The go is for this commit only; the next one is held again.",
		Example: "  towpath changes allow shop 1042",
		Args:    cobra.ExactArgs(2),
		RunE: console.remote(func(ctx context.Context, server *client.Client, args []string) error {
			id, err := strconv.Atoi(args[1])
			if err != nil || id < 1 {
				return usage(fmt.Sprintf("%q is not the ID of a change", args[1]), "towpath changes "+word(args[0])+" lists them")
			}
			change, err := server.AllowChange(ctx, args[0], id)
			if err != nil {
				return err
			}
			return console.Show(change, fmt.Sprintf("%s of %s at %s may run", change.Branch, args[0], towpath.ShortRevision(change.Revision)))
		}),
	}
}

func (c *Console) changeTable(changes []client.Change) *table {
	i, now := c.ink(), c.now()
	t := newTable(i, "", "id", "line", "revision", "trigger", "outcome", "seen", "")
	for _, change := range changes {
		t.add(i.mark(change.Outcome), fmt.Sprint(change.ID), change.Branch, short(change.Revision), change.Trigger, change.Outcome,
			ago(change.SeenAt, now), joined("; ", change.By, change.Reason))
	}
	return t
}

package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/towpath-cd/towpath/client"
)

// newStatusCommand is "towpath status".
func newStatusCommand(console *Console) *cobra.Command {
	var follow bool
	command := &cobra.Command{
		Use:   "status [RUN]",
		Short: "Show a run, or what waits, runs and is live everywhere",
		Long: "Shows the steps of a run; with --follow until it has ended, and fails then unless it passed. " + runHelp + "\n" +
			"Without RUN it shows the approvals that wait, the runs that are under way or newest, and every environment; with\n" +
			"--follow and without RUN it follows the latest run.",
		Example: "  towpath status\n  towpath status shop#128 --follow",
		Args:    cobra.MaximumNArgs(1),
	}
	command.Flags().BoolVarP(&follow, "follow", "f", false, "go on until the run has ended")
	command.RunE = console.remote(func(ctx context.Context, server *client.Client, args []string) error {
		if len(args) == 0 && !follow {
			return console.overview(ctx, server)
		}
		run, err := findRun(ctx, server, first(args))
		if err != nil {
			return err
		}
		if follow {
			return console.followRun(ctx, server, run)
		}
		return console.showRun(ctx, server, run)
	})
	return command
}

// showRun shows a run as it is now.
func (c *Console) showRun(ctx context.Context, server *client.Client, run client.Run) error {
	if c.JSON {
		return writeJSON(c.Out, run)
	}
	asked := askedFor{server: server}
	text := joined("\n", c.runText(runTitle(run), asked.lines(ctx, run, c.now())), inputsOf(run))
	if hasEnded(run) {
		text = joined("\n", text, runEnd(run, c.ink()), logHint(run))
	}
	return c.Show(run, text)
}

// overview is all that a person may want to look at now.
type overview struct {
	Approvals    []client.Approval    `json:"approvals"`    // those that wait
	Runs         []client.Run         `json:"runs"`         // those under way, or else the newest
	Environments []client.Environment `json:"environments"` // all
}

// newest is how many runs an overview shows where none is under way.
const newest = 5

func (c *Console) overview(ctx context.Context, server *client.Client) (err error) {
	var o overview
	if o.Approvals, err = server.Approvals(ctx); err != nil {
		return err
	}
	if o.Runs, err = server.Runs(ctx, client.RunFilter{State: unfinished}); err != nil {
		return err
	}
	if len(o.Runs) == 0 {
		if o.Runs, err = server.Runs(ctx, client.RunFilter{Limit: newest}); err != nil {
			return err
		}
	}
	if o.Environments, err = server.Environments(ctx); err != nil {
		return err
	}
	o.Approvals, o.Runs, o.Environments = listed(o.Approvals), listed(o.Runs), listed(o.Environments)
	return c.Show(o, c.overviewText(o))
}

func (c *Console) overviewText(o overview) string {
	approvals := ""
	if len(o.Approvals) > 0 {
		approvals = c.approvalTable(o.Approvals).String() + "\n"
	}
	runs := c.runTable(o.Runs).or("no runs yet; towpath project add URL watches a repository")
	environments := ""
	if len(o.Environments) > 0 {
		environments = "\n" + c.environmentTable(o.Environments).String()
	}
	return joined("\n", approvals, runs, c.queuedText(o.Runs), environments)
}

// queuedText says of each step that waits for a worker why it does.
func (c *Console) queuedText(runs []client.Run) string {
	var lines []string
	for _, run := range runs {
		for _, step := range run.Steps {
			if step.State == "queued" && step.Reason != "" {
				lines = append(lines, fmt.Sprintf("%s %s #%d, %s %s: %s", c.ink().mark(step.State), run.Pipeline, run.Number, step.Kind, step.Name, step.Reason))
			}
		}
	}
	return strings.Join(lines, "\n")
}

func (c *Console) approvalTable(approvals []client.Approval) *table {
	i, now := c.ink(), c.now()
	t := newTable(i, "", "waits for people", "who", "asked", "expires", "")
	for _, a := range approvals {
		t.add(i.mark(a.State), approvalName(a), approvalWants(a), ago(a.AskedAt, now), in(a.ExpiresAt, now),
			fmt.Sprintf("towpath approve %s#%d %s", a.Pipeline, a.Run, word(a.Step)))
	}
	return t
}

package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/towpath-cd/towpath/client"
)

// newHistoryCommand is "towpath history".
func newHistoryCommand(console *Console) *cobra.Command {
	page := client.Page{}
	command := &cobra.Command{
		Use:   "history ENV [RELEASE|DEPLOYMENT]",
		Short: "Show what was deployed: who, why, what changed, what was planned and what was done",
		Long: "Shows the newest deployments of an environment with the commits that each brought or took back, or all that is known of\n" +
			"one: its reason, commits, changes of configuration (of variables the names alone), plan and journal. With the number\n" +
			"of a release it is that one's newest deployment. " + environmentHelp,
		Example: "  towpath history production\n  towpath history shop/production 42",
		Args:    cobra.RangeArgs(1, 2),
	}
	command.Flags().IntVar(&page.Limit, "limit", 10, "how many, up to 500")
	command.RunE = console.remote(func(ctx context.Context, server *client.Client, args []string) error {
		e, err := findEnvironment(ctx, server, args[0])
		if err != nil {
			return err
		}
		if len(args) == 2 {
			return console.showDeployment(ctx, server, e.Key, args[1])
		}
		deployments, err := server.DeploymentPage(ctx, e.Key, page)
		if err != nil {
			return err
		}
		all := []client.History{}
		for _, d := range deployments {
			h, err := server.History(ctx, e.Key, d.ID)
			if err != nil {
				return err
			}
			all = append(all, h)
		}
		return console.Show(all, console.historyText(all))
	})
	return command
}

func (c *Console) showDeployment(ctx context.Context, server *client.Client, key, name string) error {
	deployments, err := server.DeploymentPage(ctx, key, client.Page{Limit: 500})
	if err != nil {
		return err
	}
	for _, d := range deployments {
		if fmt.Sprint(d.Release) == name {
			name = d.ID
			break
		}
	}
	h, err := server.History(ctx, key, name)
	if err != nil {
		return err
	}
	return c.Show(h, c.deploymentText(h))
}

// historyText is a list with what each deployment brought.
func (c *Console) historyText(all []client.History) string {
	var parts []string
	for _, h := range all {
		parts = append(parts, joined("\n", c.deploymentTitle(h), strings.Join(commitLines(h.Commits), "\n")))
	}
	if len(parts) == 0 {
		return "no deployments"
	}
	return strings.Join(parts, "\n")
}

// deploymentTitle is who deployed what, when and why.
func (c *Console) deploymentTitle(h client.History) string {
	i, now := c.ink(), c.now()
	what := fmt.Sprintf("release %d", h.Release)
	if h.From > 0 {
		what += fmt.Sprintf(" in place of %d", h.From)
	}
	title := joined("   ", i.mark(h.State)+" "+what, h.State, deploymentTook(h.Deployment, now), ago(h.RequestedAt, now), joined(", ", h.Cause, h.By))
	return joined("   ", title, joined("; ", h.Outcome, h.Reason))
}

// deploymentText is all that is known of a deployment.
func (c *Console) deploymentText(h client.History) string {
	parts := []string{c.deploymentTitle(h)}
	if h.AllowedBy != "" {
		parts = append(parts, "let start outside of its window by "+h.AllowedBy+": "+h.AllowedFor)
	}
	parts = append(parts, commitLines(h.Commits)...)
	if len(h.Settings) > 0 {
		t := newTable(c.ink(), "setting", "", "before", "after")
		for _, s := range h.Settings {
			t.add(s.Name, s.How, s.Before, s.After)
		}
		parts = append(parts, "", t.String())
	}
	if h.Plan != "" {
		parts = append(parts, "\nplanned:\n"+strings.TrimRight(h.Plan, "\n"))
	}
	if len(h.Journal) > 0 {
		parts = append(parts, "", c.journalTable(h.Journal).String())
	}
	return strings.Join(parts, "\n")
}

func (c *Console) journalTable(journal []client.Entry) *table {
	t := newTable(c.ink(), "", "began", "took", "done")
	for _, e := range journal {
		state := "passed"
		if e.Problem != "" {
			state = "failed"
		}
		t.add(c.ink().mark(state), e.Began.In(c.now().Location()).Format(time.TimeOnly), lasted(e.Ended.Sub(e.Began)), joined(": ", e.Operation, e.Problem))
	}
	return t
}

func commitLines(commits client.Commits) []string {
	var lines []string
	for _, c := range commits.Added {
		lines = append(lines, fmt.Sprintf("  + %s %s (%s)", short(c.Revision), oneLine(c.Title), oneLine(c.Author)))
	}
	for _, c := range commits.Removed {
		lines = append(lines, fmt.Sprintf("  - %s %s (%s)", short(c.Revision), oneLine(c.Title), oneLine(c.Author)))
	}
	if commits.More {
		lines = append(lines, "  and more")
	}
	if commits.Problem != "" {
		lines = append(lines, "  its commits are not known: "+oneLine(commits.Problem))
	}
	return lines
}

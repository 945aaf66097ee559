package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/towpath-cd/towpath/client"
)

// newDeploymentsCommand is "towpath deployments".
func newDeploymentsCommand(console *Console) *cobra.Command {
	var page client.Page
	command := &cobra.Command{
		Use:     "deployments ENV",
		Short:   "List what was deployed to an environment, by whom and with what outcome, newest first",
		Long:    "Lists the deployments of an environment. " + environmentHelp,
		Example: "  towpath deployments production\n  towpath deployments production --limit 500 --json",
		Args:    cobra.ExactArgs(1),
		RunE: console.remote(func(ctx context.Context, server *client.Client, args []string) error {
			e, err := findEnvironment(ctx, server, args[0])
			if err != nil {
				return err
			}
			deployments, err := server.DeploymentPage(ctx, e.Key, page)
			if err != nil {
				return err
			}
			return console.Show(listed(deployments), console.deploymentTable(deployments).or("no deployments"))
		}),
	}
	command.Flags().IntVar(&page.Limit, "limit", 0, "how many, up to 500 (default 50)")
	command.Flags().StringVar(&page.Before, "before", "", "only those before the deployment of this ID")
	return command
}

func (c *Console) deploymentTable(deployments []client.Deployment) *table {
	i, now := c.ink(), c.now()
	t := newTable(i, "", "release", "from", "state", "took", "asked", "by", "")
	for _, d := range deployments {
		from := ""
		if d.From > 0 {
			from = fmt.Sprint(d.From)
		}
		t.add(i.mark(d.State), fmt.Sprint(d.Release), from, d.State, deploymentTook(d, now), ago(d.RequestedAt, now),
			joined(", ", d.Cause, d.By), joined("; ", d.Outcome, d.Reason))
	}
	return t
}

func deploymentTook(d client.Deployment, now time.Time) string {
	switch {
	case d.BeganAt.IsZero():
		return ""
	case d.EndedAt.IsZero():
		return lasted(now.Sub(d.BeganAt))
	}
	return lasted(d.EndedAt.Sub(d.BeganAt))
}

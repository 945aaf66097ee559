package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/towpath-cd/towpath/client"
)

// newEnvironmentsCommand is "towpath environments".
func newEnvironmentsCommand(console *Console) *cobra.Command {
	return &cobra.Command{
		Use:     "environments [ENV]",
		Short:   "List environments with what is live, or show one with its instances",
		Long:    "Lists what is live where, and what moves or holds it. " + environmentHelp,
		Example: "  towpath environments\n  towpath environments shop/production",
		Args:    cobra.MaximumNArgs(1),
		RunE: console.remote(func(ctx context.Context, server *client.Client, args []string) error {
			if len(args) == 1 {
				return console.showEnvironment(ctx, server, args[0])
			}
			environments, err := server.Environments(ctx)
			if err != nil {
				return err
			}
			return console.Show(listed(environments), console.environmentTable(environments).or("no environments"))
		}),
	}
}

func (c *Console) showEnvironment(ctx context.Context, server *client.Client, name string) error {
	e, err := findEnvironment(ctx, server, name)
	if err != nil {
		return err
	}
	now := c.now()
	text := fmt.Sprintf("%s %s   live: %s   goal: %s   before: %s",
		c.ink().mark(environmentState(e)), e.Key, releaseText(e.Live), releaseText(e.Goal), releaseText(e.Previous))
	keeper := ""
	if e.Keeper != "" {
		keeper = "kept by " + e.Keeper
	}
	standby := ""
	if e.StandbyTill.After(now) {
		standby = "the release before stands by until " + clock(e.StandbyTill, now)
	}
	text = joined("\n", text, joined("   ", e.Strategy, e.URL, healthText(e.Health), keeper),
		strings.Join(environmentDetails(e, now), "\n"), standby, knownText(e.Known))
	if len(e.Instances) > 0 {
		text += fmt.Sprintf("\n\n%s\nseen %s", c.seenTables(e), ago(e.ObservedAt, now))
	}
	return c.Show(e, text)
}

// knownText names the releases that a rollback can go to.
func knownText(known []int) string {
	if len(known) == 0 {
		return ""
	}
	var numbers []string
	for _, n := range known {
		numbers = append(numbers, fmt.Sprint(n))
	}
	return "a rollback can go to release " + strings.Join(numbers, ", ")
}

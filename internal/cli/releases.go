package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/towpath-cd/towpath/client"
)

// newReleasesCommand is "towpath releases".
func newReleasesCommand(console *Console) *cobra.Command {
	return &cobra.Command{
		Use:     "releases ENV",
		Short:   "List the releases that an environment can be given, newest first",
		Long:    "Lists the releases of an environment's pipeline. " + environmentHelp,
		Example: "  towpath releases production",
		Args:    cobra.ExactArgs(1),
		RunE: console.remote(func(ctx context.Context, server *client.Client, args []string) error {
			e, err := findEnvironment(ctx, server, args[0])
			if err != nil {
				return err
			}
			releases, err := server.Releases(ctx, e.Key)
			if err != nil {
				return err
			}
			return console.Show(listed(releases), console.releaseTable(e, releases).or("no releases"))
		}),
	}
}

func (c *Console) releaseTable(e client.Environment, releases []client.Release) *table {
	i, now := c.ink(), c.now()
	t := newTable(i, "", "release", "run", "revision", "change", "made", "")
	for _, r := range releases {
		state, role := "", ""
		switch {
		case e.Live != nil && e.Live.Number == r.Number:
			state, role = "live", "live"
		case e.Previous != nil && e.Previous.Number == r.Number:
			role = "live before"
		}
		run := ""
		if r.Run > 0 {
			run = fmt.Sprintf("#%d", r.Run)
		}
		change := fmt.Sprintf("%q", r.Title)
		if r.Author != "" {
			change += "  by " + r.Author
		}
		t.add(i.mark(state), fmt.Sprint(r.Number), run, short(r.Revision), change, ago(r.CreatedAt, now), role)
	}
	return t
}

package cli

import (
	"context"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/towpath-cd/towpath/client"
)

// newCacheCommand is "towpath cache".
func newCacheCommand(console *Console) *cobra.Command {
	command := &cobra.Command{
		Use:   "cache [PROJECT]",
		Short: "List what the steps of a project keep for later ones, used last first",
		Long: "Lists the entries of a project's cache. Those of the scope protected were kept by protected branches, and are read by\n" +
			"every step; those of branch/NAME by that branch alone. Without PROJECT it is the only one there is.",
		Example: "  towpath cache shop",
		Args:    cobra.MaximumNArgs(1),
		RunE: console.remote(func(ctx context.Context, server *client.Client, args []string) error {
			project, err := findProject(ctx, server, args)
			if err != nil {
				return err
			}
			entries, err := server.CacheOf(ctx, project)
			if err != nil {
				return err
			}
			return console.Show(listed(entries), console.cacheTable(entries).or("nothing is cached"))
		}),
	}
	command.AddCommand(newCacheClearCommand(console))
	return command
}

func (c *Console) cacheTable(entries []client.CacheEntry) *table {
	t := newTable(c.ink(), "key", "scope", "files", "size", "kept", "used")
	for _, e := range entries {
		t.add(e.Key, e.Scope, strconv.Itoa(e.Files), sizeOf(e.Size), ago(e.KeptAt, c.now()), ago(e.UsedAt, c.now()))
	}
	return t
}

func newCacheClearCommand(console *Console) *cobra.Command {
	var prefix string
	command := &cobra.Command{
		Use:     "clear PROJECT",
		Short:   "Forget what the steps of a project keep for later ones",
		Long:    "Removes the entries of a project's cache, in every scope. The next steps begin without them. Needs the role maintainer.",
		Example: "  towpath cache clear shop\n  towpath cache clear shop --key go-linux-",
		Args:    cobra.ExactArgs(1),
	}
	command.Flags().StringVar(&prefix, "key", "", "only entries whose key begins so")
	command.RunE = console.remote(func(ctx context.Context, server *client.Client, args []string) error {
		cleared, err := server.ClearCache(ctx, args[0], prefix)
		if err != nil {
			return err
		}
		return console.Show(cleared, fmt.Sprintf("%d entries of %s are gone", cleared.Entries, args[0]))
	})
	return command
}

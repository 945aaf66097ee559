package cli

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/towpath-cd/towpath/client"
)

// newTokenCommand is "towpath token".
func newTokenCommand(console *Console) *cobra.Command {
	group := &cobra.Command{Use: "token", Short: "Manage your keys for programs"}
	group.AddCommand(newTokenAddCommand(console), newTokenListCommand(console), newTokenRemoveCommand(console))
	return group
}

func newTokenAddCommand(console *Console) *cobra.Command {
	var wish client.Token
	var valid string
	command := &cobra.Command{
		Use:   "add NAME",
		Short: "Make a token, and print it once",
		Long: "A token can do what you can, or less: --project and --permission narrow it. It is all that is written to standard\n" +
			"output, and is never shown again.",
		Example: "  towpath token add ci --project shop --permission run.start --valid 90d",
		Args:    cobra.ExactArgs(1),
	}
	command.Flags().StringVar(&wish.Project, "project", "", "project that it is for (default all of yours)")
	command.Flags().StringSliceVar(&wish.Permissions, "permission", nil, "what it may do, such as run.start (default all that you may)")
	command.Flags().StringVar(&valid, "valid", "", "how long it is valid, such as 12h or 90d (default always)")
	command.RunE = console.remote(func(ctx context.Context, server *client.Client, args []string) (err error) {
		wish.Name = args[0]
		if wish.ExpiresAt, err = console.validUntil(valid); err != nil {
			return err
		}
		made, err := server.NewToken(ctx, wish)
		if err != nil {
			return err
		}
		console.note("the token %s, shown this once:", made.Name)
		return console.Show(made, made.Token)
	})
	return command
}

// validUntil reads how long something is valid; empty is for ever.
func (c *Console) validUntil(text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	valid, err := time.ParseDuration(text)
	if days, isDays := strings.CutSuffix(text, "d"); isDays {
		var n int
		n, err = strconv.Atoi(days)
		valid = time.Duration(n) * 24 * time.Hour
	}
	if err != nil || valid <= 0 {
		return time.Time{}, usage(fmt.Sprintf("%q is not a time that a token can be valid", text), "write it like 12h or 90d")
	}
	return c.now().Add(valid).Truncate(time.Second), nil
}

func newTokenListCommand(console *Console) *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Short:   "List your tokens, and when each was last used",
		Example: "  towpath token list",
		RunE: console.remote(func(ctx context.Context, server *client.Client, _ []string) error {
			tokens, err := server.Tokens(ctx)
			if err != nil {
				return err
			}
			now := console.now()
			t := newTable(console.ink(), "token", "project", "permissions", "expires", "used")
			for _, k := range tokens {
				t.add(k.Name, fallback(k.Project, "all of yours"), fallback(strings.Join(k.Permissions, ", "), "all of yours"),
					fallback(in(k.ExpiresAt, now), "never"), fallback(ago(k.UsedAt, now), "never"))
			}
			return console.Show(listed(tokens), t.or("no tokens"))
		}),
	}
}

func newTokenRemoveCommand(console *Console) *cobra.Command {
	return &cobra.Command{
		Use:     "remove NAME",
		Short:   "Make a token worthless",
		Example: "  towpath token remove ci",
		Args:    cobra.ExactArgs(1),
		RunE: console.remote(func(ctx context.Context, server *client.Client, args []string) error {
			if err := server.RemoveToken(ctx, args[0]); err != nil {
				return err
			}
			return console.Show(removed{args[0]}, args[0]+" is removed")
		}),
	}
}

package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/towpath-cd/towpath/client"
)

// newAuditCommand is "towpath audit".
func newAuditCommand(console *Console) *cobra.Command {
	limit := 50
	command := &cobra.Command{
		Use:     "audit",
		Short:   "List privileged acts, newest first",
		Example: "  towpath audit --limit 10",
	}
	command.Flags().IntVar(&limit, "limit", limit, "how many, at most those that the server answers")
	command.RunE = console.remote(func(ctx context.Context, server *client.Client, _ []string) error {
		if limit < 1 {
			return usage(fmt.Sprintf("--limit %d shows nothing", limit), "give a number from 1 on")
		}
		acts, err := server.Audit(ctx)
		if err != nil {
			return err
		}
		acts = acts[:min(limit, len(acts))]
		t := newTable(console.ink(), "act", "when", "who", "what", "of", "")
		for _, a := range acts {
			t.add(fmt.Sprint(a.Number), ago(a.At, console.now()), a.Actor, a.Action, a.Object, a.Detail)
		}
		return console.Show(listed(acts), t.or("nothing was done yet"))
	})
	return command
}

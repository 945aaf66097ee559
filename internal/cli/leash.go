package cli

import (
	"time"

	"github.com/spf13/cobra"

	"github.com/towpath-cd/towpath/internal/app"
	"github.com/towpath-cd/towpath/internal/process"
)

// newLeashCommand is "towpath leash", which a keeper starts beside each command that a person runs.
func newLeashCommand(console *Console) *cobra.Command {
	return &cobra.Command{
		Use:     app.LeashVerb + " GROUP TIME",
		Short:   "End a group of processes when the input ends, or after a time",
		Example: "  towpath leash marked:abc 1h",
		Args:    cobra.ExactArgs(2),
		Hidden:  true,
		RunE: func(_ *cobra.Command, args []string) error {
			within, err := time.ParseDuration(args[1])
			if err != nil {
				return usage(err.Error(), "a time is written like 1h")
			}
			return process.Leash(console.In, args[0], within)
		},
	}
}

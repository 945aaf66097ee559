package cli

import (
	"os"

	"github.com/spf13/cobra"

	"github.com/towpath-cd/towpath/internal/app"
	"github.com/towpath-cd/towpath/internal/confine"
)

// newConfineCommand is "towpath confine", which a worker starts above each script that is kept apart.
func newConfineCommand() *cobra.Command {
	return &cobra.Command{
		Use:     app.ConfineVerb,
		Short:   "Run one script as a user of its own, as a worker says",
		Example: "  towpath confine",
		Args:    cobra.NoArgs,
		Hidden:  true,
		RunE: func(*cobra.Command, []string) error {
			os.Exit(confine.Main()) // it has told whoever started it what went wrong
			return nil
		},
	}
}

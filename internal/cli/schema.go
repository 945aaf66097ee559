package cli

import (
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/towpath-cd/towpath/internal/pipeline"
)

// newSchemaCommand is "towpath schema".
func newSchemaCommand(console *Console) *cobra.Command {
	return &cobra.Command{
		Use:     "schema",
		Short:   "Print the JSON Schema of the pipeline file, for editors",
		Example: "  towpath schema > towpath.schema.json",
		RunE: func(*cobra.Command, []string) error {
			schema := pipeline.Schema()
			text, err := json.MarshalIndent(schema, "", "  ")
			if err != nil {
				return fmt.Errorf("print the schema: %w", err)
			}
			return console.Show(schema, string(text))
		},
	}
}

package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/towpath-cd/towpath/client"
)

// newProjectFilesCommand is "towpath project files".
func newProjectFilesCommand(console *Console) *cobra.Command {
	return &cobra.Command{
		Use:     "files [PROJECT]",
		Short:   "Read a project's repository, and list its pipeline files and what starts them",
		Example: "  towpath project files shop",
		Args:    cobra.MaximumNArgs(1),
		RunE: console.remote(func(ctx context.Context, server *client.Client, args []string) error {
			name, err := findProject(ctx, server, args)
			if err != nil {
				return err
			}
			files, err := server.PipelineFiles(ctx, name)
			if err != nil {
				return err
			}
			return console.Show(files, console.filesText(files))
		}),
	}
}

// filesText lists pipeline files, and then what is wrong with them.
func (c *Console) filesText(found client.PipelineFiles) string {
	if len(found.Files) == 0 {
		return fmt.Sprintf("there is no towpath.yaml on %s yet; docs/pipeline-file.md says what it holds, towpath check tries it", found.Branch)
	}
	t := newTable(c.ink(), "file", "pipeline", "is started by")
	var wrong []string
	for _, f := range found.Files {
		starts := strings.Join(f.Starts, "; ")
		if f.Problems != "" {
			starts = "nothing: the file is wrong"
			wrong = append(wrong, f.Problems)
		}
		t.add(f.Path, f.Pipeline, starts)
	}
	return joined("\n", append([]string{t.or("")}, wrong...)...)
}

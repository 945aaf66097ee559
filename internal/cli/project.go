package cli

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/towpath-cd/towpath/client"
)

// newProjectCommand is "towpath project".
func newProjectCommand(console *Console) *cobra.Command {
	group := &cobra.Command{Use: "project", Short: "Watch repositories"}
	group.AddCommand(
		newProjectAddCommand(console),
		newProjectListCommand(console),
		newProjectShowCommand(console),
		newProjectFilesCommand(console),
		newProjectPauseCommand(console),
		newProjectResumeCommand(console),
		newProjectRenameCommand(console),
		newProjectChangeCommand(console),
		newProjectTokenCommand(console),
		newProjectWebhookCommand(console),
		newProjectRemoveCommand(console),
	)
	return group
}

// repository turns a folder into the path by which a server on this machine finds it; an address stays as it is.
func repository(where, server string) (string, error) {
	info, err := os.Stat(where)
	if err != nil || !info.IsDir() || strings.Contains(where, "://") {
		return where, nil // what is no folder here is an address, which the server tries
	}
	if !isHere(server) {
		return "", usage(fmt.Sprintf("%s is a folder on this machine, and the server is at %s", where, server),
			"give an address that the server can reach")
	}
	path, err := filepath.Abs(where)
	if err != nil {
		return "", fmt.Errorf("find the repository: %w", err)
	}
	return path, nil
}

// polled is how often a project's repository is looked at.
func polled(p client.Project) string {
	return lasted(time.Duration(p.Poll * float64(time.Second)))
}

func newProjectListCommand(console *Console) *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Short:   "List the projects that you may see",
		Example: "  towpath project list",
		RunE: console.remote(func(ctx context.Context, server *client.Client, _ []string) error {
			projects, err := server.Projects(ctx)
			if err != nil {
				return err
			}
			t := newTable(console.ink(), "project", "repository", "branch", "pipelines", "")
			for _, p := range projects {
				t.add(p.Name, p.URL, p.DefaultBranch, strings.Join(p.Pipelines, ", "), watching(p))
			}
			return console.Show(listed(projects), t.or("no projects; towpath project add URL watches a repository"))
		}),
	}
}

// watching says whether and how a project's repository is looked at.
func watching(p client.Project) string {
	switch {
	case p.Paused:
		return "paused"
	case p.Poll == 0:
		return "not polled"
	}
	return "polled every " + polled(p)
}

func newProjectShowCommand(console *Console) *cobra.Command {
	return &cobra.Command{
		Use:     "show [PROJECT]",
		Short:   "Show a project",
		Example: "  towpath project show shop",
		Args:    cobra.MaximumNArgs(1),
		RunE: console.remote(func(ctx context.Context, server *client.Client, args []string) error {
			name, err := findProject(ctx, server, args)
			if err != nil {
				return err
			}
			p, err := server.Project(ctx, name)
			if err != nil {
				return err
			}
			return console.Show(p, projectText(p, console.now()))
		}),
	}
}

// webhookText says where deliveries go, where any are taken.
func webhookText(p client.Project) string {
	switch p.WebhookSecrets {
	case 0:
		return ""
	case 1:
		return p.WebhookURL
	}
	return p.WebhookURL + ", two secrets are valid"
}

// turnText says when it is the turn of the project's steps, where that was set.
func turnText(p client.Project) string {
	atOnce, priority := "", ""
	if p.StepsAtOnce > 0 {
		atOnce = fmt.Sprintf("at most %s of each pipeline at a time", counted(p.StepsAtOnce, "step"))
	}
	if p.Priority != 0 {
		priority = fmt.Sprintf("priority %d", p.Priority)
	}
	return joined(", ", atOnce, priority)
}

func projectText(p client.Project, now time.Time) string {
	pipelines := "none yet"
	if len(p.Pipelines) > 0 {
		pipelines = strings.Join(p.Pipelines, ", ")
	}
	lines := []string{fmt.Sprintf("%s\nrepository   %s\nbranch       %s\npipelines    %s\nwatched      %s, since %s",
		p.Name, p.URL, p.DefaultBranch, pipelines, watching(p), clock(p.CreatedAt, now))}
	for _, line := range []struct{ what, value string }{
		{"forge", p.Forge},
		{"forks", p.Forks},
		{"protected", strings.Join(p.Protected, ", ")},
		{"credentials", strings.Join(p.CredentialNames, ", ")},
		{"webhook", webhookText(p)},
		{"turn", turnText(p)},
	} {
		if line.value != "" {
			lines = append(lines, fmt.Sprintf("%-12s %s", line.what, line.value))
		}
	}
	return strings.Join(lines, "\n")
}

func newProjectRemoveCommand(console *Console) *cobra.Command {
	var yes bool
	command := &cobra.Command{
		Use:     "remove PROJECT",
		Short:   "Stop watching a repository, and forget its runs and logs",
		Long:    "Forgets a project with its runs and logs. It is refused as long as something of it is live.",
		Example: "  towpath project remove shop --yes",
		Args:    cobra.ExactArgs(1),
	}
	command.Flags().BoolVar(&yes, "yes", false, "do not ask")
	command.RunE = console.remote(func(ctx context.Context, server *client.Client, args []string) error {
		p, err := server.Project(ctx, args[0])
		if err != nil {
			return err
		}
		if err := console.confirm("remove "+p.Name+" with its runs and logs?", yes); err != nil {
			return err
		}
		if err := server.RemoveProject(ctx, p.Name); err != nil {
			return err
		}
		return console.Show(removed{p.Name}, p.Name+" is removed")
	})
	return command
}

// removed is the document of verbs that take something away.
type removed struct {
	Removed string `json:"removed"`
}

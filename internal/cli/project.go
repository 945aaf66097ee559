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
		newProjectPauseCommand(console),
		newProjectResumeCommand(console),
		newProjectWebhookCommand(console),
		newProjectRemoveCommand(console),
	)
	return group
}

func newProjectAddCommand(console *Console) *cobra.Command {
	var wish client.NewProject
	var poll time.Duration
	command := &cobra.Command{
		Use:   "add URL|PATH",
		Short: "Watch a repository from now on",
		Long: "Watches a repository by its address, or by its folder where the server runs on the same machine. The server reads\n" +
			"it once before it says yes, and then looks for new commits.",
		Example: "  towpath project add https://git.example.com/shop.git\n  towpath project add . --name shop --poll 10s",
		Args:    cobra.ExactArgs(1),
	}
	command.Flags().StringVar(&wish.Name, "name", "", "the project's name (default the last part of the address)")
	command.Flags().DurationVar(&poll, "poll", 0, "how often new commits are looked for (default 2m)")
	command.RunE = console.remote(func(ctx context.Context, server *client.Client, args []string) (err error) {
		if wish.URL, err = repository(args[0], server.Address()); err != nil {
			return err
		}
		wish.Poll = poll.Seconds()
		p, err := server.AddProject(ctx, wish)
		if err != nil {
			return err
		}
		return console.Show(p, fmt.Sprintf("%s is watched: %s, branch %s, polled every %s",
			p.Name, p.URL, p.DefaultBranch, polled(p)))
	})
	return command
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

func projectText(p client.Project, now time.Time) string {
	pipelines := "none yet"
	if len(p.Pipelines) > 0 {
		pipelines = strings.Join(p.Pipelines, ", ")
	}
	return fmt.Sprintf("%s\nrepository   %s\nbranch       %s\npipelines    %s\nwatched      %s, since %s",
		p.Name, p.URL, p.DefaultBranch, pipelines, watching(p), clock(p.CreatedAt, now))
}

func newProjectPauseCommand(console *Console) *cobra.Command {
	return console.pauseCommand(true, &cobra.Command{
		Use: "pause PROJECT", Short: "Look for no new commits until the project is resumed", Example: "  towpath project pause shop",
	})
}

func newProjectResumeCommand(console *Console) *cobra.Command {
	return console.pauseCommand(false, &cobra.Command{
		Use: "resume PROJECT", Short: "Look for new commits again", Example: "  towpath project resume shop",
	})
}

func (c *Console) pauseCommand(paused bool, command *cobra.Command) *cobra.Command {
	command.Args = cobra.ExactArgs(1)
	command.RunE = c.remote(func(ctx context.Context, server *client.Client, args []string) error {
		p, err := server.Project(ctx, args[0])
		if err != nil {
			return err
		}
		p.Paused = paused
		if p, err = server.ChangeProject(ctx, p); err != nil {
			return err
		}
		return c.Show(p, p.Name+" is "+watching(p))
	})
	return command
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

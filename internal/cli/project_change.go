package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/towpath-cd/towpath/client"
)

func newProjectPauseCommand(console *Console) *cobra.Command {
	return console.changeCommand(&cobra.Command{
		Use: "pause PROJECT", Short: "Start no new runs until the project is resumed",
		Long: "Nothing is polled, and what a webhook brings is written down and starts nothing. What runs goes on, and what is\n" +
			"deployed serves on. After it is resumed, the newest commit of each branch that has moved runs.",
		Example: "  towpath project pause shop",
	}, func(p *client.Project) { p.Paused = true })
}

func newProjectResumeCommand(console *Console) *cobra.Command {
	return console.changeCommand(&cobra.Command{
		Use: "resume PROJECT", Short: "Look for new commits again", Example: "  towpath project resume shop",
		Long: "Ends towpath project pause. A project that waited for its deploy key to be pasted is tried first.",
	}, func(p *client.Project) { p.Paused = false })
}

// changeCommand is a verb that changes one thing about a project.
func (c *Console) changeCommand(command *cobra.Command, change func(*client.Project)) *cobra.Command {
	command.Args = cobra.ExactArgs(1)
	command.RunE = c.remote(func(ctx context.Context, server *client.Client, args []string) error {
		p, err := server.Project(ctx, args[0])
		if err != nil {
			return err
		}
		change(&p)
		if p, err = server.ChangeProject(ctx, args[0], p); err != nil {
			return err
		}
		return c.Show(p, p.Name+" is "+watching(p))
	})
	return command
}

func newProjectRenameCommand(console *Console) *cobra.Command {
	var yes bool
	command := &cobra.Command{
		Use:   "rename PROJECT NAME",
		Short: "Give a project another name",
		Long: "What belongs to the project stays with it, and its webhook's address stays the same. Scripts that use the old name\n" +
			"find nothing there any more. Pipelines and environments keep their names: those stand in the repository.",
		Example: "  towpath project rename shop store",
		Args:    cobra.ExactArgs(2),
	}
	command.Flags().BoolVar(&yes, "yes", false, "do not ask")
	command.RunE = console.remote(func(ctx context.Context, server *client.Client, args []string) error {
		p, err := server.Project(ctx, args[0])
		if err != nil {
			return err
		}
		if err := console.confirm(fmt.Sprintf("rename %s to %s? Whoever names %s finds nothing there any more.", args[0], args[1], args[0]), yes); err != nil {
			return err
		}
		p.Name = args[1]
		if p, err = server.ChangeProject(ctx, args[0], p); err != nil {
			return err
		}
		return console.Show(p, args[0]+" is called "+p.Name)
	})
	return command
}

func newProjectChangeCommand(console *Console) *cobra.Command {
	var poll time.Duration
	var forks, hostsFile string
	var protected []string
	var atOnce, priority int
	command := &cobra.Command{
		Use:   "change PROJECT",
		Short: "Set how a project is watched, what is trusted, and when it is its turn",
		Long:  "Sets what the flags name, and leaves the rest as it is.",
		Example: "  towpath project change shop --poll 30s\n  towpath project change shop --protect 'release/**' --forks run\n" +
			"  towpath project change shop --steps-at-once 4",
		Args: cobra.ExactArgs(1),
	}
	flags := command.Flags()
	flags.DurationVar(&poll, "poll", 0, "how often new commits are looked for; 0 is never")
	flags.StringVar(&forks, "forks", "", "what becomes of pull requests from forks: ask, run or ignore")
	flags.StringSliceVar(&protected, "protect", nil, "branches that are trusted besides the default one; '' is none")
	flags.IntVar(&atOnce, "steps-at-once", 0, "how many steps each of its pipelines runs at a time; 0 is as many as there are workers for")
	flags.IntVar(&priority, "priority", 0, "projects with more go first; for who manages workers to set")
	flags.StringVar(&hostsFile, "known-hosts", "", "file with the SSH host keys to believe; - is standard input")
	command.RunE = console.remote(func(ctx context.Context, server *client.Client, args []string) error {
		p, err := server.Project(ctx, args[0])
		if err != nil {
			return err
		}
		if flags.Changed("poll") {
			p.Poll = poll.Seconds()
		}
		if flags.Changed("forks") {
			p.Forks = forks
		}
		if flags.Changed("protect") {
			p.Protected = protected
		}
		if flags.Changed("steps-at-once") {
			p.StepsAtOnce = atOnce
		}
		if flags.Changed("priority") {
			p.Priority = priority
		}
		if flags.Changed("known-hosts") {
			if p.KnownHosts, err = console.readFile(hostsFile, "host keys"); err != nil {
				return err
			}
		}
		if p, err = server.ChangeProject(ctx, args[0], p); err != nil {
			return err
		}
		return console.Show(p, projectText(p, console.now()))
	})
	return command
}

func newProjectTokenCommand(console *Console) *cobra.Command {
	var remove bool
	command := &cobra.Command{
		Use:   "token PROJECT",
		Short: "Give a project another token for its forge",
		Long: "Reads the token from standard input, or asks for it without showing it. Statuses are sent with it, and git over https\n" +
			"shows it to the repository. It is never read back.",
		Example: "  towpath project token shop < token.txt\n  towpath project token shop --remove",
		Args:    cobra.ExactArgs(1),
	}
	command.Flags().BoolVar(&remove, "remove", false, "forget the token")
	command.RunE = console.remote(func(ctx context.Context, server *client.Client, args []string) error {
		token, said := "", "its token is forgotten"
		if !remove {
			var err error
			if token, err = console.readSecret("token"); err != nil {
				return fmt.Errorf("read the token: %w", err)
			}
			if token == "" {
				return usage("the token is empty", "give it on standard input, or --remove to forget it")
			}
			said = "its token is written"
		}
		p, err := server.PutForgeToken(ctx, args[0], token)
		if err != nil {
			return err
		}
		return console.Show(p, p.Name+": "+said)
	})
	return command
}

package cli

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/towpath-cd/towpath/client"
)

func newProjectAddCommand(console *Console) *cobra.Command {
	var wish client.NewProject
	var poll time.Duration
	var tokenFile, hostsFile string
	command := &cobra.Command{
		Use:   "add URL|PATH",
		Short: "Watch a repository from now on",
		Long: "Watches a repository by its address, or by its folder where the server runs on the same machine. The server reads\n" +
			"it once before it says yes, and then looks for new commits. A private one needs a token (over https) or a deploy key\n" +
			"(over ssh, with --known-hosts where the server's machine does not know the host). With a token that may, the server\n" +
			"has the forge take the key and the webhook; where it may not, it says what to paste where.",
		Example: "  towpath project add https://git.example.com/shop.git\n  towpath project add . --name shop --poll 10s\n" +
			"  towpath project add https://git.example.com/ana/shop.git --token-file token.txt --webhook\n" +
			"  ssh-keyscan git.example.com | towpath project add git@git.example.com:ana/shop.git --deploy-key --known-hosts -",
		Args: cobra.ExactArgs(1),
	}
	flags := command.Flags()
	flags.StringVar(&wish.Name, "name", "", "the project's name (default the last part of the address)")
	flags.DurationVar(&poll, "poll", 0, "how often new commits are looked for (default 2m)")
	flags.StringVar(&tokenFile, "token-file", "", "file with a token for the forge and for git over https; - is standard input")
	flags.BoolVar(&wish.DeployKey, "deploy-key", false, "make an SSH key of the project's own")
	flags.StringVar(&hostsFile, "known-hosts", "", "file with the SSH host keys to believe; - is standard input")
	flags.BoolVar(&wish.Webhook, "webhook", false, "set the webhook up, or say how")
	flags.StringVar(&wish.Forge, "forge", "", "github, gitlab, gitea, bitbucket, bitbucket-server or none (default what the server finds out)")
	flags.StringVar(&wish.ForgeURL, "forge-url", "", "the repository's address at its forge, where git fetches it from elsewhere")
	flags.StringVar(&wish.Forks, "forks", "", "what becomes of pull requests from forks: ask, run or ignore (default ask)")
	flags.StringSliceVar(&wish.Protected, "protect", nil, "branches that are trusted besides the default one, * and ** stand for any name")
	command.RunE = console.remote(func(ctx context.Context, server *client.Client, args []string) (err error) {
		if wish.URL, err = repository(args[0], server.Address()); err != nil {
			return err
		}
		if tokenFile == "-" && hostsFile == "-" {
			return usage("standard input cannot be both the token and the host keys", "put one of them into a file")
		}
		if wish.Token, err = console.readFile(tokenFile, "token"); err != nil {
			return err
		}
		if wish.KnownHosts, err = console.readFile(hostsFile, "host keys"); err != nil {
			return err
		}
		wish.Poll = poll.Seconds()
		p, err := server.AddProject(ctx, wish)
		if err != nil {
			return err
		}
		return console.showAdded(ctx, server, p)
	})
	return command
}

// added is a project that was added, with what stands in its repository.
type added struct {
	client.AddedProject
	Files *client.PipelineFiles `json:"files,omitempty"` // nil where it could not be read yet
}

// showAdded says what was done, and what stands in the repository. That it cannot be read yet undoes nothing.
func (c *Console) showAdded(ctx context.Context, server *client.Client, p client.AddedProject) error {
	said, text := added{AddedProject: p}, addedText(p)
	if !p.Paused {
		files, err := server.PipelineFiles(ctx, p.Name)
		if err != nil {
			text = joined("\n", text, "its pipeline files could not be read yet: "+err.Error()+"; towpath project files "+p.Name+" tries again")
		} else {
			said.Files, text = &files, joined("\n", text, c.filesText(files))
		}
	}
	return c.Show(said, text)
}

// readFile reads what a flag names: nothing where it names nothing, standard input where it is "-". A line's end at its end
// does not belong to it.
func (c *Console) readFile(name, what string) (string, error) {
	switch name {
	case "":
		return "", nil
	case "-":
		return c.readSecret(what)
	}
	content, err := os.ReadFile(name)
	if err != nil {
		return "", fmt.Errorf("read the %s: %w", what, err)
	}
	return strings.TrimSuffix(strings.TrimSuffix(string(content), "\n"), "\r"), nil
}

// addedText says what was done, and what a person has left to do.
func addedText(p client.AddedProject) string {
	text := fmt.Sprintf("%s is watched: %s, branch %s, polled every %s", p.Name, p.URL, p.DefaultBranch, polled(p.Project))
	if p.Paused {
		text = fmt.Sprintf("%s waits: %s", p.Name, p.URL)
	}
	if p.Forge != "" {
		text += ", at " + p.Forge
	}
	parts := []string{text}
	if p.DeployKey != "" {
		parts = append(parts, "deploy key: "+p.DeployKey)
	}
	if w := p.Webhook; w != nil && w.Set {
		parts = append(parts, "the forge delivers to "+w.URL)
	} else if w != nil {
		parts = append(parts, strings.TrimSpace(w.Manual))
	}
	return joined("\n", append(parts, p.Notes...)...)
}

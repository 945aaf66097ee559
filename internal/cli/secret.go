package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/towpath-cd/towpath/client"
)

// newSecretCommand is "towpath secret".
func newSecretCommand(console *Console) *cobra.Command {
	group := &cobra.Command{Use: "secret", Short: "Manage what scripts and environments are given and nobody reads"}
	group.AddCommand(newSecretPutCommand(console), newSecretListCommand(console), newSecretRemoveCommand(console),
		newSecretUsesCommand(console), newSecretRotateKeyCommand(console))
	return group
}

func newSecretPutCommand(console *Console) *cobra.Command {
	var secret client.Secret
	command := &cobra.Command{
		Use:   "put PROJECT NAME",
		Short: "Write a secret, new or again",
		Long: "Reads the value from standard input, or asks for it without showing it. The line's end after a single line does not\n" +
			"belong to it; a value of several lines stays as it is. Steps of protected branches get it, unless\n" +
			"--environment or --branch say otherwise. It is never read back.\n\n" +
			"With --from the value is elsewhere: the server asks a command of its settings (secret_commands) for it whenever a step or\n" +
			"an environment is given the secret.",
		Example: "  towpath secret put shop SMTP_PASSWORD < password.txt\n  towpath secret put shop KUBECONFIG < ~/.kube/config\n" +
			"  towpath secret put shop DATABASE_URL --environment production\n  towpath secret put shop NPM_TOKEN --from npm-token",
		Args: cobra.ExactArgs(2),
	}
	command.Flags().StringSliceVar(&secret.Environments, "environment", nil, "environment whose instances get it")
	command.Flags().StringSliceVar(&secret.Branches, "branch", nil, "branches whose steps get it, * and ** stand for any name (default protected ones)")
	command.Flags().StringVar(&secret.From, "from", "", "command of the server's settings that has the value")
	command.RunE = console.remote(func(ctx context.Context, server *client.Client, args []string) (err error) {
		secret.Name = args[1]
		if secret.From == "" {
			if secret.Value, err = console.readValue(secret.Name); err != nil {
				return err
			}
		}
		if err := server.PutSecret(ctx, args[0], secret); err != nil {
			return err
		}
		secret.Value = ""
		return console.Show(secret, fmt.Sprintf("%s of %s is written", secret.Name, args[0]))
	})
	return command
}

// readValue reads a secret's value, which is not empty.
func (c *Console) readValue(name string) (string, error) {
	value, err := c.readSecret(name)
	if err != nil {
		return "", fmt.Errorf("read the value: %w", err)
	}
	if value == "" {
		return "", usage("the value is empty", "give it on standard input")
	}
	return value, nil
}

func newSecretListCommand(console *Console) *cobra.Command {
	return &cobra.Command{
		Use:     "list [PROJECT]",
		Short:   "List the names of a project's secrets, and who is given them",
		Example: "  towpath secret list shop",
		Args:    cobra.MaximumNArgs(1),
		RunE: console.remote(func(ctx context.Context, server *client.Client, args []string) error {
			project, err := findProject(ctx, server, args)
			if err != nil {
				return err
			}
			secrets, err := server.Secrets(ctx, project)
			if err != nil {
				return err
			}
			t := newTable(console.ink(), "secret", "value", "environments", "branches", "written")
			for _, s := range secrets {
				t.add(s.Name, whereabouts(s), fallback(strings.Join(s.Environments, ", "), "steps only"),
					fallback(strings.Join(s.Branches, ", "), "protected"), ago(s.UpdatedAt, console.now()))
			}
			return console.Show(listed(secrets), t.or("no secrets"))
		}),
	}
}

// whereabouts says where a secret's value is.
func whereabouts(s client.Secret) string {
	if s.From == "" {
		return "kept here"
	}
	return "from " + s.From + ": " + fallback(s.Command, "not in the server's settings any more")
}

func newSecretRemoveCommand(console *Console) *cobra.Command {
	return &cobra.Command{
		Use:     "remove PROJECT NAME",
		Short:   "Forget a secret",
		Example: "  towpath secret remove shop SMTP_PASSWORD",
		Args:    cobra.ExactArgs(2),
		RunE: console.remote(func(ctx context.Context, server *client.Client, args []string) error {
			if err := server.RemoveSecret(ctx, args[0], args[1]); err != nil {
				return err
			}
			return console.Show(removed{args[1]}, args[1]+" of "+args[0]+" is removed")
		}),
	}
}

// newSecretUsesCommand is "towpath secret uses".
func newSecretUsesCommand(console *Console) *cobra.Command {
	return &cobra.Command{
		Use:     "uses PROJECT [NAME]",
		Short:   "List which steps and environments were given secrets, newest first",
		Example: "  towpath secret uses shop DATABASE_URL",
		Args:    cobra.RangeArgs(1, 2),
		RunE: console.remote(func(ctx context.Context, server *client.Client, args []string) error {
			uses, err := server.SecretUses(ctx, args[0], strings.Join(args[1:], ""))
			if err != nil {
				return err
			}
			t := newTable(console.ink(), "secret", "run", "step", "environment", "given")
			for _, u := range uses {
				t.add(u.Name, fmt.Sprintf("%s #%d", u.Pipeline, u.Run), u.Step, u.Environment, ago(u.At, console.now()))
			}
			return console.Show(listed(uses), t.or("nothing that is kept was given any"))
		}),
	}
}

// newSecretRotateKeyCommand is "towpath secret rotate-key".
func newSecretRotateKeyCommand(console *Console) *cobra.Command {
	var forget, yes bool
	command := &cobra.Command{
		Use:   "rotate-key",
		Short: "Make a new key for all that is secret at the server",
		Long: "Makes a new key, and seals every secret and credential again with it. The older keys stay in the key file, so that\n" +
			"backups made before can be restored; with --forget they go: keep a copy of the file with those backups.",
		Example: "  towpath secret rotate-key",
		Args:    cobra.NoArgs,
	}
	command.Flags().BoolVar(&forget, "forget", false, "drop the older keys")
	command.Flags().BoolVar(&yes, "yes", false, "do not ask")
	command.RunE = console.remote(func(ctx context.Context, server *client.Client, _ []string) error {
		if forget {
			if err := console.confirm("drop the older keys? Backups made before open with a copy of the key file only.", yes); err != nil {
				return err
			}
		}
		done, err := server.RotateKey(ctx, forget)
		if err != nil {
			return err
		}
		text := fmt.Sprintf("%d values are sealed with a new key", done.Resealed)
		if forget {
			text += fmt.Sprintf("; %d older keys are forgotten", done.Forgotten)
		}
		return console.Show(done, text)
	})
	return command
}

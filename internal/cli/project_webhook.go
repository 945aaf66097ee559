package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/towpath-cd/towpath/client"
)

// newProjectWebhookCommand is "towpath project webhook".
func newProjectWebhookCommand(console *Console) *cobra.Command {
	var rotate, drop bool
	var secretFile string
	command := &cobra.Command{
		Use:   "webhook PROJECT",
		Short: "Make the secret of a project's webhook, and say what to paste where",
		Long: "Makes the secret by which a forge signs what it delivers, and shows it this once. --rotate makes another: both are\n" +
			"valid until --drop-previous says that the forge has the new one. --secret-file takes one that was made elsewhere, such\n" +
			"as a signing token of GitLab.",
		Example: "  towpath project webhook shop\n  towpath project webhook shop --rotate\n" +
			"  towpath project webhook shop --secret-file signing-token.txt\n  towpath project webhook shop --drop-previous",
		Args: cobra.ExactArgs(1),
	}
	command.Flags().BoolVar(&rotate, "rotate", false, "make another secret")
	command.Flags().BoolVar(&drop, "drop-previous", false, "the secret before the newest one is valid no longer")
	command.Flags().StringVar(&secretFile, "secret-file", "", "file with a secret that was made elsewhere; - is standard input")
	command.MarkFlagsMutuallyExclusive("rotate", "drop-previous", "secret-file")
	command.RunE = console.remote(func(ctx context.Context, server *client.Client, args []string) error {
		p, err := server.Project(ctx, args[0])
		if err != nil {
			return err
		}
		switch {
		case drop:
			if err := server.DropWebhookSecret(ctx, p.Name); err != nil {
				return err
			}
			return console.Show(p, "only the newest secret of "+p.Name+"'s webhook is valid now")
		case secretFile != "":
			return console.takeWebhookSecret(ctx, server, p.Name, secretFile)
		case p.WebhookSecrets > 0 && !rotate:
			return console.Show(client.Webhook{URL: p.WebhookURL}, fmt.Sprintf(
				"%s\n%s has a secret, which is never shown again; --rotate makes another beside it", p.WebhookURL, p.Name))
		}
		hook, err := server.RotateWebhook(ctx, p.Name)
		if err != nil {
			return err
		}
		return console.Show(hook, hook.Manual)
	})
	return command
}

// takeWebhookSecret has a webhook be signed with a secret that was made elsewhere.
func (c *Console) takeWebhookSecret(ctx context.Context, server *client.Client, project, file string) error {
	secret, err := c.readFile(file, "webhook's secret")
	if err != nil {
		return err
	}
	if secret == "" {
		return usage("the file holds no secret", "put the forge's secret into it, or use --rotate to have one made")
	}
	hook, err := server.SetWebhookSecret(ctx, project, client.WebhookSecret{Secret: secret})
	if err != nil {
		return err
	}
	return c.Show(hook, "what comes to "+hook.URL+" may be signed with it from now on")
}

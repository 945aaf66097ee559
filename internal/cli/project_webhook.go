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
	command := &cobra.Command{
		Use:   "webhook PROJECT",
		Short: "Make the secret of a project's webhook, and say what to paste where",
		Long: "Makes the secret by which a forge signs what it delivers, and shows it this once. --rotate makes another: both are\n" +
			"valid until --drop-previous says that the forge has the new one.",
		Example: "  towpath project webhook shop\n  towpath project webhook shop --rotate\n  towpath project webhook shop --drop-previous",
		Args:    cobra.ExactArgs(1),
	}
	command.Flags().BoolVar(&rotate, "rotate", false, "make another secret")
	command.Flags().BoolVar(&drop, "drop-previous", false, "the secret before the newest one is valid no longer")
	command.MarkFlagsMutuallyExclusive("rotate", "drop-previous")
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

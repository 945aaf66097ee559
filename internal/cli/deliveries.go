package cli

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/towpath-cd/towpath/client"
)

// newDeliveriesCommand is "towpath deliveries".
func newDeliveriesCommand(console *Console) *cobra.Command {
	var page client.Page
	command := &cobra.Command{
		Use:   "deliveries [PROJECT]",
		Short: "List what a project's webhook brought, and what came of it, newest first",
		Long: "Lists the deliveries of a webhook: change (it told of something new, see the project's changes), known (of what was\n" +
			"known already), ignored and failed with the reason, refused (it was not signed with the webhook's secret), pending.",
		Example: "  towpath deliveries shop\n  towpath deliveries shop --limit 500 --json",
		Args:    cobra.MaximumNArgs(1),
		RunE: console.remote(func(ctx context.Context, server *client.Client, args []string) error {
			project, err := findProject(ctx, server, args)
			if err != nil {
				return err
			}
			deliveries, err := server.Deliveries(ctx, project, page)
			if err != nil {
				return err
			}
			return console.Show(listed(deliveries), console.deliveryTable(deliveries).
				or("no deliveries; towpath project webhook "+project+" says how a forge is told of this server"))
		}),
	}
	command.Flags().IntVar(&page.Limit, "limit", 0, "how many, up to 500 (default 50)")
	command.Flags().StringVar(&page.Before, "before", "", "only those before the delivery of this number")
	command.AddCommand(newDeliveriesShowCommand(console), newDeliveriesReplayCommand(console))
	return command
}

func (c *Console) deliveryTable(deliveries []client.Delivery) *table {
	i, now := c.ink(), c.now()
	t := newTable(i, "", "delivery", "event", "outcome", "size", "arrived", "")
	for _, d := range deliveries {
		t.add(i.mark(d.Outcome), fmt.Sprint(d.ID), d.Event, d.Outcome, fmt.Sprint(d.Size), ago(d.ArrivedAt, now), deliveryNote(d))
	}
	return t
}

func deliveryNote(d client.Delivery) string {
	if d.Replays == 0 {
		return d.Reason
	}
	return joined("; ", d.Reason, fmt.Sprintf("read %d times", d.Replays+1))
}

func newDeliveriesShowCommand(console *Console) *cobra.Command {
	return &cobra.Command{
		Use:     "show PROJECT DELIVERY",
		Short:   "Show a delivery with what was sent",
		Example: "  towpath deliveries show shop 1204",
		Args:    cobra.ExactArgs(2),
		RunE: console.remote(func(ctx context.Context, server *client.Client, args []string) error {
			id, err := deliveryNumber(args[1])
			if err != nil {
				return err
			}
			d, err := server.Delivery(ctx, args[0], id)
			if err != nil {
				return err
			}
			text := fmt.Sprintf("%s %s   delivery %d of %s\nkey       %s\narrived   %s\nsize      %d bytes",
				console.ink().mark(d.Outcome), joined(": ", d.Outcome, deliveryNote(d)), d.ID, joined(", ", args[0], d.Event), d.Key,
				clock(d.ArrivedAt, console.now()), d.Size)
			return console.Show(d, joined("\n\n", text, strings.TrimSpace(d.Body)))
		}),
	}
}

func newDeliveriesReplayCommand(console *Console) *cobra.Command {
	return &cobra.Command{
		Use:     "replay PROJECT DELIVERY",
		Short:   "Have a delivery read again",
		Long:    "Has a delivery read again. What it tells of runs again, also where it has run before.",
		Example: "  towpath deliveries replay shop 1204",
		Args:    cobra.ExactArgs(2),
		RunE: console.remote(func(ctx context.Context, server *client.Client, args []string) error {
			id, err := deliveryNumber(args[1])
			if err != nil {
				return err
			}
			d, err := server.ReplayDelivery(ctx, args[0], id)
			if err != nil {
				return err
			}
			return console.Show(d, fmt.Sprintf("delivery %d of %s is read again; towpath deliveries %s says what came of it", d.ID, args[0], args[0]))
		}),
	}
}

func deliveryNumber(text string) (int, error) {
	number, err := strconv.Atoi(text)
	if err != nil || number < 1 {
		return 0, usage(fmt.Sprintf("%q is not the number of a delivery", text), "towpath deliveries PROJECT lists them")
	}
	return number, nil
}

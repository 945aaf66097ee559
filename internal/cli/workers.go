package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/towpath-cd/towpath/client"
)

// newWorkersCommand is "towpath workers".
func newWorkersCommand(console *Console) *cobra.Command {
	command := &cobra.Command{
		Use:     "workers",
		Short:   "List workers, what they can run and what they do",
		Example: "  towpath workers",
		RunE: console.remote(func(ctx context.Context, server *client.Client, _ []string) error {
			workers, err := server.Workers(ctx)
			if err != nil {
				return err
			}
			now := console.now()
			t := newTable(console.ink(), "worker", "platform", "labels", "steps", "seen", "version", "")
			for _, w := range workers {
				t.add(w.Name, w.OS+"/"+w.Arch, strings.Join(w.Labels, ", "), fmt.Sprintf("%d of %d", w.Running, w.Slots),
					ago(w.SeenAt, now), w.Version, workerState(w, now))
			}
			return console.Show(listed(workers), t.or("no workers; towpath workers token makes a token to start one with"))
		}),
	}
	command.AddCommand(newWorkersTokenCommand(console), newWorkersDrainCommand(console), newWorkersResumeCommand(console),
		newWorkersLabelCommand(console), newWorkersRemoveCommand(console))
	return command
}

// newWorkersTokenCommand is "towpath workers token".
func newWorkersTokenCommand(console *Console) *cobra.Command {
	return &cobra.Command{
		Use:     "token",
		Short:   "Make a one-time token with which a new worker registers",
		Example: "  towpath worker --token \"$(towpath workers token)\"",
		RunE: console.remote(func(ctx context.Context, server *client.Client, _ []string) error {
			token, err := server.NewWorkerToken(ctx)
			if err != nil {
				return err
			}
			return console.Show(token, token.Token)
		}),
	}
}

// silent is how long a worker may say nothing before it is thought lost; it speaks up much more often.
const silent = time.Minute

func workerState(w client.Worker, now time.Time) string {
	state, draining, older := "", "", ""
	if now.Sub(w.SeenAt) > silent {
		state = "silent"
	}
	if w.Draining {
		draining = joined(" ", "drained", by(w.DrainedBy))
	}
	if w.Older {
		older = "older than the server"
	}
	return joined(", ", state, draining, older)
}

// by says who did something, where that is known.
func by(who string) string {
	if who == "" {
		return ""
	}
	return "by " + who
}

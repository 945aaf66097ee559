package cli

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/towpath-cd/towpath/internal/demo"
)

// newDemoCommand is "towpath demo".
func newDemoCommand(console *Console) *cobra.Command {
	o := demo.Options{Program: ownCommand()[0]}
	var plain bool
	command := &cobra.Command{
		Use:   "demo",
		Short: "See a change go to live traffic and back, on this machine",
		Long: "Starts a server, a worker and a proxy in a throw-away folder, takes a small web shop to production, switches its\n" +
			"releases back and forth while requests are sent to it, lets a release that answers errors be moved back by its\n" +
			"watch, and kills the server and then the worker in the midst of deployments. It tells how many requests failed.\n" +
			"It needs Go and git, and about a minute. The last line on standard output is always\n\n" +
			"  demo: requests N, failed F, switch S ms, rollback R ms, recovered K of 3\n\n" +
			"where S and R are medians from the call to the last answer of the old side, and K counts the bad release and the\n" +
			"two kills. It succeeds only when none failed and all three were recovered from.",
		Example: "  towpath demo\n  towpath demo --plain\n  towpath demo --json\n  towpath demo --keep",
	}
	command.Flags().BoolVar(&plain, "plain", false, "one line a change, also on a terminal")
	command.Flags().BoolVar(&o.Keep, "keep", false, "leave everything running, and say where")
	command.RunE = func(command *cobra.Command, _ []string) error {
		o.Out, o.Live = console.Out, !plain && console.moves()
		if console.JSON {
			o.Out, o.Live = io.Discard, false
		}
		return tellDemo(command.Context(), console, o)
	}
	command.AddCommand(newDemoStopCommand(console))
	return command
}

// tellDemo shows the demo and, where it got far enough, what it has measured.
func tellDemo(ctx context.Context, console *Console, o demo.Options) error {
	facts, err := demo.Run(ctx, o)
	if !facts.IsMeasured() || ctx.Err() != nil {
		return err
	}
	text := "\n" + facts.Table() + "\n"
	if facts.Running != nil {
		text += "\n" + facts.Running.String() + "\n"
	}
	if told := console.Show(facts, text+facts.Line()); err == nil {
		err = told
	}
	return err
}

// newDemoStopCommand is "towpath demo stop".
func newDemoStopCommand(console *Console) *cobra.Command {
	return &cobra.Command{
		Use:     "stop FOLDER",
		Short:   "End a demo that was kept, and remove its folder",
		Example: "  towpath demo stop /tmp/towpath-123",
		Args:    cobra.ExactArgs(1),
		RunE: func(command *cobra.Command, args []string) error {
			if err := demo.Stop(command.Context(), args[0]); err != nil {
				return err
			}
			return console.Show(map[string]string{"stopped": args[0]}, fmt.Sprintf("stopped; %s is gone", args[0]))
		},
	}
}

package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/client"
)

// newRunCommand is "towpath run".
func newRunCommand(console *Console) *cobra.Command {
	var wish client.StartRun
	var inputs []string
	var detach, local bool
	command := &cobra.Command{
		Use:   "run [PROJECT]",
		Short: "Start a run of a branch, and follow it to its end",
		Long: "Starts a run of a branch's newest commit, or of one revision, and shows it until it ends. It fails when the run\n" +
			"does. An interrupt stops the watching, not the run. Without PROJECT it is the only one there is.\n\n" +
			"With --local it runs the working tree around this folder, with what is not committed yet, on a server that is\n" +
			"thrown away afterwards. The run ends before the first approval or deployment.",
		Example: "  towpath run shop\n  towpath run shop --branch faster-checkout\n  towpath run shop --revision 9be07d4 --detach\n  towpath run shop --input size=large --input publish=yes\n  towpath run --local",
		Args:    cobra.MaximumNArgs(1),
	}
	command.Flags().StringVar(&wish.Branch, "branch", "", "branch whose newest commit is run (default the project's default branch)")
	command.Flags().StringVar(&wish.Revision, "revision", "", "commit to run instead")
	command.Flags().StringVar(&wish.Pipeline, "pipeline", "", "pipeline to run, where the project has several")
	command.Flags().StringArrayVar(&inputs, "input", nil, "value of an input of the pipeline, as NAME=VALUE; may be given several times")
	command.Flags().BoolVar(&detach, "detach", false, "do not wait for the run to end")
	command.Flags().BoolVar(&local, "local", false, "run this working tree, as it is, on a throw-away server; nothing is deployed")
	command.MarkFlagsMutuallyExclusive("local", "detach")
	command.MarkFlagsMutuallyExclusive("local", "branch")
	command.MarkFlagsMutuallyExclusive("local", "revision")
	command.MarkFlagsMutuallyExclusive("local", "input")
	remote := console.remote(func(ctx context.Context, server *client.Client, args []string) error {
		var err error
		if wish.Inputs, err = inputsIn(inputs); err != nil {
			return err
		}
		project, err := findProject(ctx, server, args)
		if err != nil {
			return err
		}
		run, err := server.StartRun(ctx, project, wish)
		if err != nil {
			return err
		}
		if detach {
			return console.Show(run, fmt.Sprintf("started %s\nfollow it: towpath status %s --follow", runTitle(run), runName(run)))
		}
		return console.followRun(ctx, server, run)
	})
	command.RunE = func(command *cobra.Command, args []string) error {
		if local {
			return console.runLocal(command.Context(), wish.Pipeline, args)
		}
		return remote(command, args)
	}
	return command
}

// inputsIn reads NAME=VALUE, each name once.
func inputsIn(pairs []string) (client.Inputs, error) {
	inputs := client.Inputs{}
	for _, pair := range pairs {
		name, value, both := strings.Cut(pair, "=")
		if _, twice := inputs[name]; twice {
			return nil, usage(fmt.Sprintf("%s is given twice", name), "give each input once")
		}
		if !both || name == "" {
			return nil, usage(fmt.Sprintf("%q is not an input", pair), "write --input NAME=VALUE")
		}
		inputs[name] = value
	}
	return inputs, nil
}

// followRun shows a run until it ends. It fails unless the run passes.
func (c *Console) followRun(ctx context.Context, server *client.Client, run client.Run) error {
	last, err := c.watchRun(ctx, server, run)
	if err != nil {
		return fmt.Errorf("follow %s: %w", runName(run), err)
	}
	if hint := logHint(last); hint != "" {
		c.note("%s", hint)
	}
	return runFailure(last)
}

// watchRun shows a run until it ends, and answers how it did.
func (c *Console) watchRun(ctx context.Context, server *client.Client, run client.Run) (last client.Run, err error) {
	p, asked := c.newProgress(), askedFor{server: server}
	err = following[client.Run]{
		console: c, tick: p.tick,
		stream: func(ctx context.Context, see func(client.Run) error) error {
			return server.FollowRun(ctx, run.Pipeline, run.Number, see)
		},
		see: func(r client.Run) (bool, error) {
			last = r
			if c.JSON {
				return hasEnded(r), writeJSON(c.Out, r)
			}
			return hasEnded(r), p.show(runTitle(r), asked.lines(ctx, r, c.now()), hasEnded(r))
		},
	}.run(ctx)
	if err != nil || c.JSON {
		return last, err
	}
	_, err = fmt.Fprintln(c.Out, safe(runEnd(last, p.ink)))
	return last, err
}

// runFailure is nil where a run passed. People have seen why it did not.
func runFailure(r client.Run) error {
	if r.State == "passed" {
		return nil
	}
	return told(towpath.Errorf(codeFailed, "%s is %s", runName(r), reasoned(r.State, r.Reason)))
}

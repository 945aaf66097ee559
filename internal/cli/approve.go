package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/client"
)

// newApproveCommand is "towpath approve".
func newApproveCommand(console *Console) *cobra.Command {
	return console.decideCommand(true, &cobra.Command{
		Use:   "approve [RUN [STEP]]",
		Short: "Let a run go on that waits for people",
		Long: "Shows what follows the step, with the plan of every deployment, and asks. What is decided on is what was shown: if\n" +
			"that changes meanwhile, the decision is refused. Without arguments it is the one approval that waits.\n" + runHelp,
		Example: "  towpath approve\n  towpath approve shop#128 release --yes --reason \"tested by hand\"",
	})
}

// newRejectCommand is "towpath reject".
func newRejectCommand(console *Console) *cobra.Command {
	return console.decideCommand(false, &cobra.Command{
		Use:   "reject [RUN [STEP]]",
		Short: "Stop a run that waits for people",
		Long: "Shows what waits, and asks. The run stops there, and nothing behind the step happens. Without arguments it is the\n" +
			"one approval that waits. " + runHelp,
		Example: "  towpath reject shop#128 release --reason \"the totals are wrong\"",
	})
}

func (c *Console) decideCommand(approve bool, command *cobra.Command) *cobra.Command {
	var reason string
	var yes bool
	command.Args = cobra.MaximumNArgs(3)
	command.Flags().StringVar(&reason, "reason", "", "why, for the record")
	command.Flags().BoolVar(&yes, "yes", false, "do not ask")
	command.RunE = c.remote(func(ctx context.Context, server *client.Client, args []string) error {
		waiting, err := findApproval(ctx, server, args)
		if err != nil {
			return err
		}
		asked, err := server.Approval(ctx, waiting.Pipeline, waiting.Run, waiting.Step)
		if err != nil {
			return err
		}
		c.note("%s\n", c.approvalText(asked))
		if err := c.confirm(command.Name()+" "+approvalName(asked)+"?", yes); err != nil {
			return err
		}
		decided, err := server.Decide(ctx, asked, client.Decision{Approved: approve, Reason: reason})
		if err != nil {
			return err
		}
		return c.Show(decided, c.ink().mark(decided.State)+" "+approvalState(decided))
	})
	return command
}

// findApproval finds the approval that a person means among those that wait: by run, by run and step, or the only one.
func findApproval(ctx context.Context, server *client.Client, args []string) (client.Approval, error) {
	if len(args) == 3 { // the pipeline and the number apart
		args = []string{args[0] + "#" + args[1], args[2]}
	}
	if len(args) == 2 {
		run, err := findRun(ctx, server, args[0])
		return client.Approval{Pipeline: run.Pipeline, Run: run.Number, Step: args[1]}, err
	}
	waiting, err := server.Approvals(ctx)
	if err != nil {
		return client.Approval{}, err
	}
	if len(args) == 1 {
		run, err := findRun(ctx, server, args[0])
		if err != nil {
			return client.Approval{}, err
		}
		waiting = approvalsOf(waiting, run)
	}
	return onlyApproval(waiting)
}

func approvalsOf(waiting []client.Approval, run client.Run) []client.Approval {
	var of []client.Approval
	for _, a := range waiting {
		if a.Pipeline == run.Pipeline && a.Run == run.Number {
			of = append(of, a)
		}
	}
	return of
}

func onlyApproval(waiting []client.Approval) (client.Approval, error) {
	switch len(waiting) {
	case 0:
		return client.Approval{}, towpath.Errorf(towpath.CodeNotFound, "nothing waits for a decision")
	case 1:
		return waiting[0], nil
	}
	var choices []string
	for _, a := range waiting {
		choices = append(choices, fmt.Sprintf("%s#%d %s", a.Pipeline, a.Run, word(a.Step)))
	}
	return client.Approval{}, usage("which one?", "one of "+strings.Join(choices, ", "))
}

func approvalName(a client.Approval) string {
	return fmt.Sprintf("%s #%d %s", a.Pipeline, a.Run, a.Step)
}

// approvalText is what a person decides on.
func (c *Console) approvalText(a client.Approval) string {
	text := fmt.Sprintf("%s approve %s   %s   asked %s", c.ink().mark(a.State), approvalName(a), approvalWants(a), ago(a.AskedAt, c.now()))
	if a.Message != "" {
		text += "\n" + a.Message
	}
	lines := []string{text}
	for _, d := range a.Decisions {
		lines = append(lines, decisionText(d))
	}
	for _, t := range a.Tests {
		lines = append(lines, t.Step+": "+t.Totals.Said)
	}
	for _, p := range a.Plans {
		lines = append(lines, "", strings.TrimRight(p.Text, "\n"))
	}
	return strings.Join(lines, "\n")
}

// approvalWants says how many of whom are asked.
func approvalWants(a client.Approval) string {
	return fmt.Sprintf("%d of %s", a.Count, strings.Join(a.By, ", "))
}

func decisionText(d client.Decision) string {
	verb := "rejected"
	if d.Approved {
		verb = "approved"
	}
	return joined(": ", verb+" by "+d.Account, d.Reason)
}

// approvalState says what became of a request.
func approvalState(a client.Approval) string {
	if a.State != "waiting" {
		return approvalName(a) + " is " + a.State
	}
	given := 0
	for _, d := range a.Decisions {
		if d.Approved {
			given++
		}
	}
	return fmt.Sprintf("%s has %d of %d approvals", approvalName(a), given, a.Count)
}

package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/towpath-cd/towpath/client"
)

// newTestsCommand is "towpath tests".
func newTestsCommand(console *Console) *cobra.Command {
	return &cobra.Command{
		Use:   "tests [RUN]",
		Short: "Show what the tests of a run came to: what failed, what is new, what flickers, what is slow",
		Long: "Shows what the reports of a run's steps say. New is what failed and did not in the last run of the same branch, or of the\n" +
			"default one. " + runHelp,
		Example: "  towpath tests\n  towpath tests shop#128\n  towpath tests shop#128 --json",
		Args:    cobra.MaximumNArgs(1),
		RunE: console.remote(func(ctx context.Context, server *client.Client, args []string) error {
			run, err := findRun(ctx, server, first(args))
			if err != nil {
				return err
			}
			tests, err := server.Tests(ctx, run.Pipeline, run.Number)
			if err != nil {
				return err
			}
			return console.Show(listed(tests), console.testsText(run, tests))
		}),
	}
}

func (c *Console) testsText(run client.Run, all []client.StepTests) string {
	if len(all) == 0 {
		return runName(run) + " has no test reports"
	}
	var parts []string
	for _, t := range all {
		parts = append(parts, c.stepTestsText(t))
	}
	return strings.Join(parts, "\n\n")
}

func (c *Console) stepTestsText(t client.StepTests) string {
	i := c.ink()
	lines := []string{fmt.Sprintf("%s: %s", t.Step, t.Totals.Said)}
	if t.Compared > 0 {
		lines[0] += fmt.Sprintf("   compared with #%d", t.Compared)
	}
	for _, problem := range t.Problems {
		lines = append(lines, "  "+oneLine(problem))
	}
	for _, test := range t.Failed {
		lines = append(lines, "  "+i.mark("failed")+" "+oneLine(testText(test)))
		for line := range strings.Lines(test.Output) {
			lines = append(lines, "      "+i.faint(oneLine(strings.TrimRight(line, "\n"))))
		}
	}
	for _, test := range t.Flickering {
		lines = append(lines, "  flickers: "+oneLine(testName(test)+": "+test.Flickering))
	}
	if len(t.Slowest) > 0 {
		lines = append(lines, "  slowest:")
	}
	for _, test := range t.Slowest {
		lines = append(lines, fmt.Sprintf("  %8s  %s", lasted(time.Duration(test.Seconds*float64(time.Second))), oneLine(testName(test))))
	}
	return strings.Join(lines, "\n")
}

func testName(t client.Test) string { return joined(" ", t.Suite, t.Name) }

func testText(t client.Test) string {
	name := testName(t)
	if t.New {
		name += " (new)"
	}
	return joined(": ", name, t.Message)
}

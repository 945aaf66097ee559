package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/towpath-cd/towpath/internal/simulate"
)

// newSimulateCommand is "towpath simulate".
func newSimulateCommand(console *Console) *cobra.Command {
	o := simulate.Options{Seeds: 100, From: 1}
	var verbose bool
	command := &cobra.Command{
		Use:   "simulate",
		Short: "See whether the server keeps its promises while everything goes wrong",
		Long: "Runs the server's own code in worlds made up of seeds, in which processes die at every commit, messages are lost, machines\n" +
			"and clocks go wrong, and checks its promises after every event. It needs nothing, and leaves nothing behind. The same seed\n" +
			"is the same story, byte for byte. It succeeds only when every promise was kept.",
		Example: "  towpath simulate\n  towpath simulate --seeds 10000\n  towpath simulate --seeds 1 --from 4711 --verbose",
	}
	command.Flags().IntVar(&o.Seeds, "seeds", o.Seeds, "how many worlds")
	command.Flags().Uint64Var(&o.From, "from", o.From, "the first seed")
	command.Flags().BoolVar(&verbose, "verbose", false, "print every event, of one world after another")
	command.RunE = func(command *cobra.Command, _ []string) error {
		if o.Seeds < 1 {
			return usage("there is nothing to simulate", "--seeds is 1 or more")
		}
		if verbose && !console.JSON {
			o.Script = console.Out
		}
		return console.simulate(command.Context(), o)
	}
	return command
}

func (c *Console) simulate(ctx context.Context, o simulate.Options) error {
	counter := c.newCounter(o.Seeds)
	if o.Script == nil {
		o.Told = counter.told
	}
	report, err := simulate.Run(ctx, o)
	counter.end()
	if err != nil {
		return err
	}
	if err := c.Show(report, simulationText(report)); err != nil {
		return err
	}
	if len(report.Failed) > 0 {
		return told(errors.New("a promise was broken"))
	}
	return nil
}

func simulationText(r simulate.Report) string {
	var b strings.Builder
	for _, f := range r.Failed {
		fmt.Fprintf(&b, "✗ seed %d broke a promise: %s (%s)\n  %s\n", f.Seed, f.Promise, f.Source, f.What)
	}
	if len(r.Failed) > 0 {
		first := r.Failed[0]
		fmt.Fprintf(&b, "\nThe last events of seed %d:\n  %s\n\n", first.Seed, strings.Join(first.Last, "\n  "))
		fmt.Fprintf(&b, "To see it again: towpath simulate --seeds 1 --from %d --verbose\n", first.Seed)
	}
	mark := "✓"
	if len(r.Failed) > 0 {
		mark = "✗"
	}
	fmt.Fprintf(&b, "%s %d seeds from %d, %d events, %d broken promises   %s", mark, r.Seeds, r.From, r.Events, len(r.Failed), lasted(r.Took))
	return b.String()
}

// counter shows how far a simulation is: in place on a terminal, and a line now and then elsewhere.
type counter struct {
	console *Console
	screen  *screen
	seeds   int
	next    time.Time // when the next line is due
}

// countEvery is the time between two lines that stay.
const countEvery = 30 * time.Second

func (c *Console) newCounter(seeds int) *counter {
	n := &counter{console: c, seeds: seeds, next: c.now().Add(countEvery)}
	if c.moves() {
		file, _ := terminalOf(c.Out)
		n.screen = newScreen(file)
	}
	return n
}

// told is called by one goroutine at a time.
func (n *counter) told(done, failed int) {
	text := fmt.Sprintf("● %d of %d seeds, %d broken promises", done, n.seeds, failed)
	switch now := n.console.now(); {
	case n.screen != nil && done%10 == 0:
		_ = n.screen.draw([]string{text}, 0, false) // a terminal that is gone will be noticed at the end
	case n.screen == nil && now.After(n.next):
		n.next = now.Add(countEvery)
		n.console.note("%s", text)
	}
}

// end leaves the place to what was found.
func (n *counter) end() {
	if n.screen != nil {
		_ = n.screen.draw(nil, 0, true)
	}
}

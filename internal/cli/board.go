package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/towpath-cd/towpath/client"
)

// newBoardCommand is "towpath board".
func newBoardCommand(console *Console) *cobra.Command {
	var filter client.BoardFilter
	command := &cobra.Command{
		Use:   "board [SERVICE]",
		Short: "Show what is live where: a row a service, a column an environment",
		Long: "Shows what is live in each environment, whether it is healthy, and below it what deploys, waits or holds it. SERVICE is\n" +
			"a part of the pipeline's name. A state is attention (ailing, halted, unattended or changed by hand), moving, waiting or\n" +
			"held (frozen or pinned).",
		Example: "  towpath board\n  towpath board shop --environment production\n  towpath board --state attention --json",
		Args:    cobra.MaximumNArgs(1),
		RunE: console.remote(func(ctx context.Context, server *client.Client, args []string) error {
			filter.Service = first(args)
			board, err := server.Board(ctx, filter)
			if err != nil {
				return err
			}
			return console.Show(board, console.boardText(board))
		}),
	}
	f := command.Flags()
	f.StringVar(&filter.Project, "project", "", "only this project's")
	f.StringVar(&filter.Environment, "environment", "", "only environments of this name")
	f.StringVar(&filter.State, "state", "", "only services with an environment in this state")
	return command
}

func (c *Console) boardText(b client.Board) string {
	switch {
	case b.All == 0:
		return "no environments yet; one is made by the first run that deploys to it"
	case len(b.Services) == 0:
		return fmt.Sprintf("none of %s is so", counted(b.All, "service"))
	}
	t := newTable(c.ink(), append([]string{"service"}, b.Columns...)...)
	for _, s := range b.Services {
		c.addService(t, b.Columns, s)
	}
	return t.String()
}

// addService adds a line of what is live, and one below it for each thing that moves or holds it.
func (c *Console) addService(t *table, columns []string, s client.BoardRow) {
	cells := make([][]string, len(columns))
	height := 1
	for n, name := range columns {
		for _, e := range s.Environments {
			if e.Name == name {
				cells[n] = c.boardCell(e)
				height = max(height, len(cells[n]))
			}
		}
	}
	for line := range height {
		row := []string{""}
		if line == 0 {
			row[0] = s.Pipeline
		}
		for _, cell := range cells {
			row = append(row, at(cell, line))
		}
		t.add(row...)
	}
}

func at(lines []string, n int) string {
	if n < len(lines) {
		return lines[n]
	}
	return ""
}

// widest is the longest line of a cell of the board, in characters: what is longer is told by the environment itself.
const widest = 60

// boardCell says what is live, and then what moves and holds it, a line each.
func (c *Console) boardCell(e client.Environment) []string {
	i, now := c.ink(), c.now()
	since, _, _ := strings.Cut(ago(e.LiveAt, now), ",")
	lines := []string{joined(" ", i.mark(environmentState(e)), clipped(joined(", ", releaseText(e.Live), since, healthText(e.Health))))}
	said := environmentDetails(e, now)
	if e.Live != nil {
		said = slices.Insert(said, 0, e.Live.Title)
	}
	for _, line := range said {
		lines = append(lines, "  "+clipped(line))
	}
	return lines
}

func clipped(text string) string {
	if letters := []rune(text); len(letters) > widest {
		return string(letters[:widest-1]) + "…"
	}
	return text
}

// healthText says how many instances serve as they should.
func healthText(h *client.Health) string {
	switch {
	case h == nil:
		return ""
	case h.State == "unknown":
		return "health unknown"
	}
	return fmt.Sprintf("%d of %d healthy", h.Passing, h.Wanted)
}

// environmentDetails are all that moves, holds or ails an environment, each by itself.
func environmentDetails(e client.Environment, now time.Time) []string {
	var said []string
	tell := func(is bool, text string) {
		if is {
			said = append(said, text)
		}
	}
	if d := e.Deployment; d != nil {
		tell(true, deploymentMove(*d, e)+left(e.Left))
	}
	for _, d := range e.Queue {
		tell(true, fmt.Sprintf("release %d by %s waits: %s", d.Release, d.By, d.Waits))
	}
	tell(e.Halted != "", "halted: "+e.Halted)
	tell(e.Health != nil && e.Health.State == "ailing", joined(": ", "ailing", problemOf(e.Health)))
	tell(e.Drift != "", e.Drift)
	tell(e.Pin != "", "pinned "+e.Pin)
	tell(e.Freeze != "", "frozen "+e.Freeze)
	tell(!e.Unattended.IsZero(), "unattended since "+clock(e.Unattended, now))
	return said
}

func problemOf(h *client.Health) string {
	if h == nil {
		return ""
	}
	return h.Problem
}

func left(operations int) string {
	if operations == 0 {
		return ""
	}
	return fmt.Sprintf(" (%s left)", counted(operations, "operation"))
}

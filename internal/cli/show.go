package cli

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/charmbracelet/lipgloss"
)

// marks are the signs of states. A state that is not here has happened to nobody yet, or does not concern anyone.
var marks = map[string]string{
	"passed": "✓", "live": "✓", "approved": "✓", "run": "✓", "change": "✓",
	"failed": "✗", "failing": "✗", "returned": "✗", "halted": "✗", "refused": "✗", "rejected": "✗", "expired": "✗",
	"running": "●", "returning": "●",
	"queued": "◌", "waiting": "◌", "held": "◌",
}

// colours are those of the marks; ANSI's first eight, which every terminal's own palette has.
var colours = map[string]lipgloss.Color{"✓": "2", "✗": "1", "●": "4", "◌": "3"}

func mark(state string) string {
	if m, ok := marks[state]; ok {
		return m
	}
	return "–"
}

// ink colours what is written to Out, where that is a terminal and nobody set NO_COLOR.
type ink struct{ renderer *lipgloss.Renderer }

func (c *Console) ink() ink { return ink{lipgloss.NewRenderer(c.Out)} }

func (i ink) mark(state string) string {
	m := mark(state)
	return i.renderer.NewStyle().Foreground(colours[m]).Render(m)
}

func (i ink) faint(text string) string {
	if text == "" {
		return ""
	}
	return i.renderer.NewStyle().Faint(true).Render(text)
}

// lasted is a duration for people: "350 ms", "41.2 s", "1m 12s", "2h 5m", "3d 4h".
func lasted(d time.Duration) string {
	const day = 24 * time.Hour
	switch d = max(d, 0); {
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < 59950*time.Millisecond:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d < time.Hour:
		d = d.Round(time.Second)
		return whole(d/time.Minute, "m", d%time.Minute/time.Second, "s")
	case d < day:
		return whole(d/time.Hour, "h", d%time.Hour/time.Minute, "m")
	default:
		return whole(d/day, "d", d%day/time.Hour, "h")
	}
}

// whole is a number of units, and of the next smaller ones where there are any.
func whole(n time.Duration, unit string, rest time.Duration, smaller string) string {
	if rest == 0 {
		return fmt.Sprintf("%d%s", n, unit)
	}
	return fmt.Sprintf("%d%s %d%s", n, unit, rest, smaller)
}

// ago is a moment that is past, relative and exact: "3m ago, 14:02".
func ago(t, now time.Time) string {
	if t.IsZero() {
		return ""
	}
	return roughly(now.Sub(t)) + " ago, " + clock(t, now)
}

// in is a moment to come, relative and exact: "in 7d, 27 Nov 14:02".
func in(t, now time.Time) string {
	if t.IsZero() {
		return ""
	}
	left := t.Sub(now)
	if left > time.Hour {
		left = left.Round(time.Hour) // "in 7d", not "in 6d", right after it was asked for
	}
	return "in " + roughly(left) + ", " + clock(t, now)
}

// roughly is a duration in its largest unit.
func roughly(d time.Duration) string {
	const day = 24 * time.Hour
	switch d = max(d, 0); {
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < day:
		return fmt.Sprintf("%dh", int(d.Hours()))
	default:
		return fmt.Sprintf("%dd", d/day)
	}
}

// clock is a time of day, with the date where it is not today's, and the year where it is not this one.
func clock(t, now time.Time) string {
	t = t.In(now.Location())
	switch {
	case t.YearDay() == now.YearDay() && t.Year() == now.Year():
		return t.Format("15:04")
	case t.Year() == now.Year():
		return t.Format("2 Jan 15:04")
	default:
		return t.Format("2 Jan 2006 15:04")
	}
}

// short is the beginning of a revision or a digest, enough to know it by.
func short(revision string) string { return revision[:min(7, len(revision))] }

// counted is a number with its noun: "1 run", "2,031 files".
func counted(n int, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return grouped(n) + " " + noun
}

func grouped(n int) string {
	digits := strconv.Itoa(n)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

// joined puts the parts that are there beside each other.
func joined(separator string, parts ...string) string {
	var there []string
	for _, part := range parts {
		if part != "" {
			there = append(there, part)
		}
	}
	return strings.Join(there, separator)
}

// sizeOf is a number of bytes for people.
func sizeOf(bytes int64) string {
	value, unit := float64(bytes), "bytes"
	for _, next := range []string{"kB", "MB", "GB"} {
		if value < 1000 {
			break
		}
		value, unit = value/1000, next
	}
	return strings.TrimSuffix(strconv.FormatFloat(value, 'f', 1, 64), ".0") + " " + unit
}

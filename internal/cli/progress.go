package cli

import (
	"fmt"
	"time"

	"github.com/charmbracelet/lipgloss"
)

// line is one thing that changes.
type line struct {
	state  string // as marks know it
	name   string
	detail string
	quiet  bool // nothing to tell yet: it stands on a terminal, and has no line of its own elsewhere

	began, ended time.Time // zero where it has not; together the time that it took
}

// progress shows things that change until they have ended: in place on a terminal, one line a change elsewhere.
type progress struct {
	console *Console
	ink     ink
	screen  *screen // nil where nothing may move
	title   string
	lines   []line
	told    map[string]string // by name, what a line said last; nil before the title was told
}

func (c *Console) newProgress() *progress {
	p := &progress{console: c, ink: c.ink()}
	if c.moves() {
		file, _ := terminalOf(c.Out)
		p.screen = newScreen(file)
	}
	return p
}

// show brings the picture up to date.
func (p *progress) show(title string, lines []line, last bool) error {
	p.title, p.lines = title, lines
	if p.screen != nil {
		return p.draw(last)
	}
	return p.tell()
}

// tick lets the clocks of what runs go on.
func (p *progress) tick() error {
	if p.screen == nil || p.lines == nil {
		return nil
	}
	return p.draw(false)
}

func (p *progress) draw(last bool) error {
	texts, look := []string{p.title}, 0
	widths := p.widths()
	for n, l := range p.lines {
		texts = append(texts, p.text(l, widths))
		if look == 0 && l.ended.IsZero() {
			look = n + 1
		}
	}
	return p.screen.draw(texts, look, last)
}

func (p *progress) tell() error {
	if p.told == nil {
		p.told = map[string]string{}
		if _, err := fmt.Fprintln(p.console.Out, safe(p.title)); err != nil {
			return err
		}
	}
	widths := p.widths()
	for _, l := range p.lines {
		says := l.state + " " + l.detail
		if l.quiet || p.told[l.name] == says {
			continue
		}
		p.told[l.name] = says
		if _, err := fmt.Fprintln(p.console.Out, safe(p.text(l, widths))); err != nil {
			return err
		}
	}
	return nil
}

// columns are the widths of names and details.
type columns struct{ name, detail int }

func (p *progress) widths() columns {
	w := columns{detail: 20}
	for _, l := range p.lines {
		w.name = max(w.name, lipgloss.Width(l.name))
		if !l.began.IsZero() {
			w.detail = min(max(w.detail, lipgloss.Width(l.detail)), 50)
		}
	}
	return w
}

// text is one line: mark, name, detail, and how long it took or has taken.
func (p *progress) text(l line, w columns) string {
	text := p.ink.mark(l.state) + " " + oneLine(l.name)
	time := p.elapsed(l)
	if l.detail == "" && time == "" {
		return text
	}
	text = padded(text, w.name+2) + "   " + oneLine(l.detail)
	if time == "" {
		return text
	}
	return fmt.Sprintf("%s   %9s", padded(text, w.name+5+w.detail), time)
}

// elapsed is empty off a terminal as long as it grows: a line that stands cannot.
func (p *progress) elapsed(l line) string {
	switch {
	case l.began.IsZero():
		return ""
	case !l.ended.IsZero():
		return lasted(l.ended.Sub(l.began))
	case p.screen == nil:
		return ""
	default:
		return lasted(p.console.now().Sub(l.began))
	}
}

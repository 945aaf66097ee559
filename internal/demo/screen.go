package demo

import (
	"fmt"
	"io"
	"strings"
)

// screen tells what happens, a line a change. On a terminal the line of what happens now is written over when that has
// ended.
type screen struct {
	out  io.Writer
	live bool
}

func (s screen) heading(n int, title string) {
	if n > 1 {
		fmt.Fprintln(s.out)
	}
	fmt.Fprintf(s.out, "%d  %s\n", n, title)
}

// now says what has begun.
func (s screen) now(what string) {
	if s.live {
		fmt.Fprintf(s.out, "\r\x1b[K   ● %s", firstLine(what))
		return
	}
	fmt.Fprintf(s.out, "   ● %s\n", what)
}

// done says what has ended well.
func (s screen) done(what, detail string) { s.line("✓", what, detail) }

// waits says what cannot go on by itself.
func (s screen) waits(what, detail string) { s.line("◌", what, detail) }

// failed says what has ended otherwise.
func (s screen) failed(what string) { s.line("✗", what, "") }

func (s screen) line(mark, what, detail string) {
	over := ""
	if s.live {
		over = "\r\x1b[K"
	}
	line := fmt.Sprintf("%s %-22s %s", mark, what, detail)
	fmt.Fprintf(s.out, "%s   %s\n", over, strings.TrimRight(line, " "))
}

func firstLine(text string) string {
	first, _, _ := strings.Cut(text, "\n")
	return first
}

package cli

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/charmbracelet/x/ansi"
	"github.com/muesli/termenv"
	"golang.org/x/term"
)

// screen redraws a few lines of a terminal in place.
type screen struct {
	out   io.Writer
	size  func() (width, height int)
	drawn int // lines that stand there, with the cursor below them
}

// newScreen prepares a terminal, which Out has to be.
func newScreen(file *os.File) *screen {
	// Where this fails, the terminal is one that has never known anything else.
	_, _ = termenv.EnableVirtualTerminalProcessing(termenv.NewOutput(file))
	return &screen{out: file, size: func() (int, int) {
		width, height, err := term.GetSize(int(file.Fd()))
		if err != nil {
			return 80, 24
		}
		return width, height
	}}
}

// draw puts lines where those before them were. Of more lines than the terminal has, those around the one to look at
// are shown; all of them, where they are the last that will be drawn.
func (s *screen) draw(lines []string, look int, last bool) error {
	width, height := s.size()
	if !last {
		lines = window(lines, look, height-1)
	}
	var b strings.Builder
	if s.drawn > 0 {
		fmt.Fprintf(&b, "\x1b[%dA", s.drawn)
	}
	for _, line := range lines {
		b.WriteString("\r" + ansi.Truncate(safe(line), max(1, width-1), "…") + "\x1b[K\n")
	}
	b.WriteString("\x1b[J")
	s.drawn = len(lines)
	_, err := io.WriteString(s.out, b.String())
	return err
}

// window cuts lines to a height: the first one stays, and the one to look at is among the rest.
func window(lines []string, look, height int) []string {
	if len(lines) <= height || height < 2 {
		return lines[:min(len(lines), max(1, height))]
	}
	rest := height - 1
	from := min(max(1, look-rest/2), len(lines)-rest)
	return append([]string{lines[0]}, lines[from:from+rest]...)
}

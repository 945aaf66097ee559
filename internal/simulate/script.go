package simulate

import (
	"fmt"
	"io"
	"time"
)

// remembered is how many lines before a broken promise are shown.
const remembered = 40

// script is what happened, a line an event. Without a reader it keeps the last ones, unwritten.
type script struct {
	out  io.Writer // nil: nobody reads
	last [remembered]line
	said int
}

// line is one that may never be read: it is put in words when it is.
type line struct {
	at     time.Duration
	who    string
	format string
	args   []any
}

// String is the line in words.
func (l line) String() string {
	return fmt.Sprintf("%10.3fs  %-10s %s", l.at.Seconds(), l.who, fmt.Sprintf(l.format, l.args...))
}

func (s *script) add(at time.Duration, who, format string, args ...any) {
	l := line{at, who, format, args}
	s.last[s.said%remembered] = l
	s.said++
	if s.out != nil {
		fmt.Fprintln(s.out, l)
	}
}

// tail answers the last lines, the oldest first.
func (s *script) tail() []string {
	var lines []string
	for n := max(0, s.said-remembered); n < s.said; n++ {
		lines = append(lines, s.last[n%remembered].String())
	}
	return lines
}

package pipeline

import (
	"fmt"
	"strings"
	"unicode"
)

// excerptWidth is how many characters of a line an excerpt shows at most.
const excerptWidth = 120

// place is where something stands in the file. Lines and columns count from 1, columns and width in characters.
type place struct {
	line, column, width int
}

// source is the text of a file, for excerpts.
type source struct {
	name  string
	lines []string
}

func newSource(name string, data []byte) source {
	lines := strings.Split(strings.ToValidUTF8(string(data), "�"), "\n")
	for i, line := range lines {
		lines[i] = strings.TrimSuffix(line, "\r")
	}
	return source{name: name, lines: lines}
}

// line is the line at a place, with its number.
func (s source) line(at place) string {
	text, ok := s.text(at.line)
	if !ok {
		return ""
	}
	return numbered(at.line, shorten(text, 0))
}

// marked is the line at a place with the one before it, and a mark below the word that is meant.
func (s source) marked(at place) string {
	text, ok := s.text(at.line)
	if !ok {
		return ""
	}
	var b strings.Builder
	if before, ok := s.text(at.line - 1); ok && strings.TrimSpace(before) != "" {
		b.WriteString(numbered(at.line-1, shorten(before, 0)))
	}
	start := 0
	if at.column > excerptWidth {
		start = at.column - excerptWidth/2
	}
	shown := shorten(text, start)
	b.WriteString(numbered(at.line, shown))
	b.WriteString("      | " + mark(shown, at.column-start, at.width) + "\n")
	return b.String()
}

func (s source) text(line int) (string, bool) {
	if line < 1 || line > len(s.lines) {
		return "", false
	}
	return s.lines[line-1], true
}

func numbered(line int, text string) string {
	return strings.TrimRight(fmt.Sprintf("%5d | %s", line, text), " ") + "\n"
}

// shorten cuts a line to what an excerpt shows from a column on (counting from 0), and makes it safe for a terminal.
func shorten(line string, start int) string {
	runes := []rune(line)
	runes = runes[min(start, len(runes)):]
	if len(runes) > excerptWidth {
		runes = append(runes[:excerptWidth:excerptWidth], '…')
	}
	return printable(string(runes))
}

// printable replaces what could move the cursor of a terminal or hide text on it.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) || r == '\t' {
			return r
		}
		return '·'
	}, text)
}

// mark underlines width characters from a column of the line; tabs before it are kept, so that it stands right.
func mark(line string, column, width int) string {
	runes := []rune(line)
	var b strings.Builder
	for i := range max(0, column-1) {
		if i < len(runes) && runes[i] == '\t' {
			b.WriteRune('\t')
		} else {
			b.WriteRune(' ')
		}
	}
	b.WriteString(strings.Repeat("^", max(1, min(width, len(runes)-column+1))))
	return b.String()
}

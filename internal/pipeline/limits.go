package pipeline

import (
	"bytes"
	"fmt"
	"unicode/utf8"

	"github.com/goccy/go-yaml/token"
)

// Limits of a file. The YAML library recurses as deep as a file asks and follows aliases without counting, so what
// could hurt is refused before it sees it.
const (
	MaxSize      = 512 << 10 // bytes of a file, and of what its aliases expand to
	maxDepth     = 32        // levels of lists and mappings inside each other
	maxAnchors   = 100
	maxLineStart = 16     // "- - - …" on one line
	maxTokens    = 50_000 // keys, values and signs; the library's time grows with the square of some of them
	maxMargin    = 200    // keys without indentation
)

// checkText refuses what is not a text of a fit size.
func checkText(data []byte) error {
	if len(data) > MaxSize {
		return &mistake{
			place{1, 1, 1},
			fmt.Sprintf("the file has %d KiB; a pipeline file has at most %d", (len(data)+1023)>>10, MaxSize>>10),
			"move scripts into files of the repository, or split it into several files in .towpath/",
		}
	}
	line := 1
	for text := range bytes.Lines(data) {
		if !utf8.Valid(text) {
			column := utf8.RuneCount(text[:invalidAt(text)]) + 1
			return &mistake{place{line, column, 1}, "this is not UTF-8", "save the file as UTF-8"}
		}
		if before, _, found := bytes.Cut(text, []byte{0}); found {
			return &mistake{place{line, utf8.RuneCount(before) + 1, 1}, "the file holds a zero byte", "save it as plain text"}
		}
		// A tab behind spaces may be a script's own, in a block; at the margin it can only be an indent.
		if bytes.HasPrefix(text, []byte{'\t'}) && startsKey(bytes.TrimLeft(text, " \t")) {
			return &mistake{
				place{line, 1, 1}, "the line is indented with a tab", "YAML takes spaces only; use two for each level",
			}
		}
		line++
	}
	return nil
}

func invalidAt(text []byte) int {
	i := 0
	for i < len(text) {
		r, size := utf8.DecodeRune(text[i:])
		if r == utf8.RuneError && size == 1 {
			break
		}
		i += size
	}
	return i
}

// startsKey says whether a line looks like a key or an item and not like the text of a script.
func startsKey(line []byte) bool {
	word, _, found := bytes.Cut(line, []byte(":"))
	return bytes.HasPrefix(line, []byte("- ")) || found && len(word) > 0 && !bytes.ContainsAny(word, " \t\"'$()=/#")
}

// checkTokens refuses what would make the parser recurse without end, and parts of YAML that have no use here.
func checkTokens(tokens token.Tokens) error {
	var s tokenScan
	for _, t := range tokens {
		if err := s.next(t); err != nil {
			return err
		}
	}
	return nil
}

type tokenScan struct {
	line, starts, flow, anchors int
	headers, content, margin    int
	columns                     []int // of the first tokens of the lines around this one
}

func (s *tokenScan) next(t *token.Token) error {
	if t.Position.Line != s.line {
		s.startLine(t)
	}
	switch t.Type {
	case token.TagType:
		return &mistake{placeOf(t), "tags such as " + clip(t.Value) + " are not read here", "write a text in quotes instead"}
	case token.DirectiveType:
		return &mistake{placeOf(t), "directives are not read here", "take the line out"}
	case token.DocumentHeaderType:
		s.headers++
		if s.headers > 1 || s.content > 0 {
			return &mistake{placeOf(t), "a second document begins here", "use one file a pipeline, in .towpath/"}
		}
		return nil
	case token.CommentType:
		return nil
	case token.SequenceStartType, token.MappingStartType:
		s.flow++
	case token.SequenceEndType, token.MappingEndType:
		s.flow--
	case token.SequenceEntryType, token.MappingKeyType:
		s.starts++
	case token.AnchorType:
		s.anchors++
	}
	s.content++
	return s.check(t)
}

func (s *tokenScan) startLine(t *token.Token) {
	s.line, s.starts = t.Position.Line, 0
	if t.Position.Column == 1 && t.Type != token.SequenceEntryType && t.Type != token.CommentType {
		s.margin++
	}
	for len(s.columns) > 0 && s.columns[len(s.columns)-1] >= t.Position.Column {
		s.columns = s.columns[:len(s.columns)-1]
	}
	s.columns = append(s.columns, t.Position.Column)
}

func (s *tokenScan) check(t *token.Token) error {
	switch {
	case s.flow+len(s.columns) > maxDepth || s.starts > maxLineStart:
		return &mistake{placeOf(t), fmt.Sprintf("this is nested more than %d levels deep", maxDepth), ""}
	case s.content > maxTokens:
		return &mistake{placeOf(t), fmt.Sprintf("the file has more than %d keys, values and signs", maxTokens), "split it into several files in .towpath/"}
	case s.margin > maxMargin:
		return &mistake{placeOf(t), fmt.Sprintf("more than %d keys stand at the left margin", maxMargin), ""}
	case s.anchors > maxAnchors:
		return &mistake{placeOf(t), fmt.Sprintf("more than %d anchors", maxAnchors), ""}
	}
	return nil
}

package pipeline

import (
	"errors"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// mistake is a problem that leaves nothing to go on with.
type mistake struct {
	at            place
	message, hint string
}

func (m *mistake) Error() string { return m.message }

// read makes bytes into a tree; nil where that fails, with the reason in the report. An empty file is an empty mapping.
func read(data []byte, r *report) (root *node) {
	defer func() {
		if fault := recover(); fault != nil { // the library panics on some broken texts
			root = nil
			r.wrong(place{1, 1, 1}, "this is not YAML that can be read", "look for a bracket, quote or dash too many")
		}
	}()
	root, err := readTree(data)
	if err == nil {
		return root
	}
	if m, ok := errors.AsType[*mistake](err); ok {
		r.wrong(m.at, m.message, m.hint)
	} else if syntax, ok := errors.AsType[yaml.Error](err); ok {
		r.wrong(placeOf(syntax.GetToken()), syntax.GetMessage(), "")
	} else {
		r.wrong(place{1, 1, 1}, err.Error(), "")
	}
	return nil
}

func readTree(data []byte) (*node, error) {
	if err := checkText(data); err != nil {
		return nil, err
	}
	tokens := lexer.Tokenize(string(data))
	if err := checkTokens(tokens); err != nil {
		return nil, err
	}
	file, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey()) // duplicates are found below, all at once
	if err != nil {
		return nil, err
	}
	var body ast.Node
	for _, doc := range file.Docs {
		if doc.Body != nil {
			body = doc.Body
		}
	}
	if body == nil {
		return &node{kind: nodeMapping, at: place{1, 1, 1}}, nil
	}
	t := tree{anchors: map[string]weighed{}}
	root, _, err := t.convert(body)
	return root, err
}

func placeOf(t *token.Token) place {
	if t == nil || t.Position == nil {
		return place{1, 1, 1}
	}
	width := 1
	switch t.Type {
	case token.LiteralType, token.FoldedType, token.InvalidType, token.SequenceEntryType, token.MappingValueType:
	case token.SingleQuoteType, token.DoubleQuoteType:
		width = utf8.RuneCountInString(t.Value) + 2
	default:
		first, _, _ := strings.Cut(t.Value, "\n")
		width = utf8.RuneCountInString(first)
	}
	return place{max(1, t.Position.Line), max(1, t.Position.Column), width}
}

// clip shortens what comes from a file, for a message.
func clip(text string) string { return clipTo(text, 60) }

func clipTo(text string, limit int) string {
	if runes := []rune(text); len(runes) > limit {
		return string(runes[:limit]) + "…"
	}
	return text
}

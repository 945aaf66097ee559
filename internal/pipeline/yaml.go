package pipeline

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// Limits of a file. The YAML library recurses as deep as a file asks and follows aliases without counting, so what
// could hurt is refused before it sees it.
const (
	MaxSize      = 512 << 10 // bytes of a file, and of what its aliases expand to
	maxDepth     = 32        // levels of lists and mappings inside each other
	maxAnchors   = 100
	maxLineStart = 16 // "- - - …" on one line
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
	var m *mistake
	var syntax yaml.Error
	switch {
	case errors.As(err, &m):
		r.wrong(m.at, m.message, m.hint)
	case errors.As(err, &syntax):
		r.wrong(placeOf(syntax.GetToken()), syntax.GetMessage(), "")
	default:
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
		if i := bytes.IndexByte(text, 0); i >= 0 {
			return &mistake{place{line, utf8.RuneCount(text[:i]) + 1, 1}, "the file holds a zero byte", "save it as plain text"}
		}
		if indent := text[:len(text)-len(bytes.TrimLeft(text, " \t"))]; bytes.IndexByte(indent, '\t') >= 0 &&
			startsKey(text[len(indent):]) {
			return &mistake{
				place{line, bytes.IndexByte(indent, '\t') + 1, 1},
				"the line is indented with a tab", "YAML takes spaces only; use two for each level",
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
	headers, content            int
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
	for len(s.columns) > 0 && s.columns[len(s.columns)-1] >= t.Position.Column {
		s.columns = s.columns[:len(s.columns)-1]
	}
	s.columns = append(s.columns, t.Position.Column)
}

func (s *tokenScan) check(t *token.Token) error {
	switch {
	case s.flow+len(s.columns) > maxDepth || s.starts > maxLineStart:
		return &mistake{placeOf(t), fmt.Sprintf("this is nested more than %d levels deep", maxDepth), ""}
	case s.anchors > maxAnchors:
		return &mistake{placeOf(t), fmt.Sprintf("more than %d anchors", maxAnchors), ""}
	}
	return nil
}

// tree converts what the library read, follows aliases, and counts what they expand to.
type tree struct {
	anchors map[string]weighed
	total   int
}

// weighed is a node and how many bytes its text would have with every alias written out.
type weighed struct {
	*node
	weight int
}

func (t *tree) convert(n ast.Node) (*node, int, error) {
	switch n := n.(type) {
	case *ast.AnchorNode:
		return t.anchor(n)
	case *ast.AliasNode:
		return t.alias(n)
	case *ast.MappingNode:
		return t.mapping(n, n.Values)
	case *ast.MappingValueNode:
		return t.mapping(n, []*ast.MappingValueNode{n})
	case *ast.SequenceNode:
		return t.list(n)
	default:
		s := scalar(n)
		return s, t.weigh(len(s.text) + 1), nil
	}
}

func (t *tree) weigh(bytes int) int {
	t.total += bytes
	return bytes
}

func (t *tree) anchor(n *ast.AnchorNode) (*node, int, error) {
	value, weight, err := t.convert(n.Value)
	if err == nil {
		t.anchors[n.Name.GetToken().Value] = weighed{value, weight}
	}
	return value, weight, err
}

func (t *tree) alias(n *ast.AliasNode) (*node, int, error) {
	name := n.Value.GetToken().Value
	target, ok := t.anchors[name]
	if !ok {
		return nil, 0, &mistake{placeOf(n.GetToken()), fmt.Sprintf("no anchor &%s stands above this", clip(name)), ""}
	}
	if t.weigh(target.weight); t.total > MaxSize {
		return nil, 0, &mistake{
			placeOf(n.GetToken()), fmt.Sprintf("aliases expand the file past %d KiB here", MaxSize>>10), "repeat less by alias",
		}
	}
	return target.node, target.weight, nil
}

func (t *tree) list(n *ast.SequenceNode) (*node, int, error) {
	list := &node{kind: nodeList, at: placeOf(n.GetToken())}
	sum := t.weigh(1)
	for _, value := range n.Values {
		item, weight, err := t.convert(value)
		if err != nil {
			return nil, 0, err
		}
		list.items = append(list.items, item)
		sum += weight
	}
	return list, sum, nil
}

func (t *tree) mapping(n ast.Node, values []*ast.MappingValueNode) (*node, int, error) {
	m := &node{kind: nodeMapping, at: placeOf(n.GetToken())}
	var merged []*node
	sum := t.weigh(1)
	for i, v := range values {
		key := scalar(v.Key)
		if i == 0 && n.GetToken().Type == token.MappingValueType {
			m.at = key.at
		}
		value, weight, err := t.convert(v.Value)
		if err != nil {
			return nil, 0, err
		}
		sum += weight + t.weigh(len(key.text)+1)
		if v.Key.IsMergeKey() {
			merged = append(merged, value)
			continue
		}
		m.entries = append(m.entries, entry{key: key.text, at: key.at, value: value})
	}
	return m, sum, merge(m, merged)
}

// merge adds to a mapping what its `<<` keys name; what it says itself, and what stands earlier, wins.
func merge(m *node, merged []*node) error {
	known := map[string]bool{}
	for _, e := range m.entries {
		known[e.key] = true
	}
	for len(merged) > 0 {
		from := merged[0]
		merged = merged[1:]
		switch from.kind {
		case nodeList:
			merged = append(from.items[:len(from.items):len(from.items)], merged...)
		case nodeMapping:
			for _, e := range from.entries {
				if !known[e.key] {
					known[e.key] = true
					m.entries = append(m.entries, e)
				}
			}
		default:
			return &mistake{m.at, "<< takes a mapping, not " + from.kind.article(), ""}
		}
	}
	return nil
}

func scalar(n ast.Node) *node {
	s := &node{kind: nodeText, at: placeOf(n.GetToken()), text: n.GetToken().Value}
	switch n := n.(type) {
	case *ast.MappingKeyNode:
		return scalar(n.Value)
	case *ast.AnchorNode:
		return scalar(n.Value)
	case *ast.LiteralNode:
		s.text = n.Value.Value
	case *ast.StringNode:
		s.text = n.Value
	case *ast.IntegerNode:
		s.kind = nodeNumber
	case *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
		s.kind = nodeDecimal
	case *ast.BoolNode:
		s.kind = nodeFlag
		s.text = strings.ToLower(s.text)
	case *ast.NullNode:
		s.kind = nodeNull
	}
	return s
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

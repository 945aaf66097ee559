package pipeline

import (
	"fmt"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"
)

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
			merged = append(slices.Clip(from.items), merged...)
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

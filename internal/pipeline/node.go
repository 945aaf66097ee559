package pipeline

import "slices"

// nodeKind is what YAML makes of a value.
type nodeKind string

const (
	nodeText    nodeKind = "text"
	nodeNumber  nodeKind = "number" // a whole one
	nodeDecimal nodeKind = "decimal number"
	nodeFlag    nodeKind = "true or false"
	nodeNull    nodeKind = "nothing"
	nodeList    nodeKind = "list"
	nodeMapping nodeKind = "mapping"
)

// node is a value of the file and where it stands. Aliases are followed already, so a node may hang in several places.
type node struct {
	kind    nodeKind
	at      place
	text    string // of a scalar, as it is written (numbers) or meant (texts)
	items   []*node
	entries []entry
}

// entry is a key of a mapping with its value.
type entry struct {
	key   string
	at    place // of the key
	value *node
}

// find answers the entry of a key.
func (n *node) find(key string) (entry, bool) {
	for _, e := range n.entries {
		if e.key == key {
			return e, true
		}
	}
	return entry{}, false
}

// takesEffect says whether a value asks for anything: false, 0, and empty lists and mappings do not.
func (n *node) takesEffect() bool {
	switch n.kind {
	case nodeFlag:
		return n.text == "true"
	case nodeNumber:
		return n.text != "0"
	case nodeNull:
		return false
	case nodeList:
		return len(n.items) > 0
	case nodeMapping:
		return slices.ContainsFunc(n.entries, func(e entry) bool { return e.value.takesEffect() })
	default:
		return true
	}
}

// article names a kind of value in a sentence.
func (k nodeKind) article() string {
	switch k {
	case nodeText, nodeNumber, nodeDecimal, nodeList, nodeMapping:
		return "a " + string(k)
	default:
		return string(k)
	}
}

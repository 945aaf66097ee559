package pipeline

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// decoder checks nodes against shapes.
type decoder struct {
	*report
}

// spot is where a value stands: its key, and how to speak of it.
type spot struct {
	name string // "timeout", "an item of needs"
	key  place
}

// decode answers the value of a node, nil where it is wrong.
func (d *decoder) decode(n *node, s *shape, where spot) *value {
	if s.later && n.takesEffect() {
		d.notYet(n.at, "this form of "+where.name, nil)
	}
	if n.kind == nodeNull && s.kind != kindAny {
		d.wrong(where.key, where.name+" has no value", "give it one, or take the key out")
		return nil
	}
	if !s.accepts(n.kind) {
		d.mismatch(n, s, where)
		return nil
	}
	v := d.content(n, s, where)
	if v != nil {
		v.at, v.key, v.raw, v.given = n.at, where.key, n.text, true
	}
	return v
}

func (d *decoder) content(n *node, s *shape, where spot) *value {
	switch s.kind {
	case kindText:
		return d.text(n, s, where)
	case kindNumber:
		return d.number(n, s, where)
	case kindDecimal:
		return d.decimal(n)
	case kindFlag:
		return &value{flag: n.text == "true"}
	case kindDuration:
		return d.duration(n, s, where)
	case kindList:
		return d.list(n, s, where)
	case kindMapping:
		return &value{fields: d.fields(n, s.fields, n.entries, where)}
	case kindTable:
		return d.table(n, s, where)
	case kindOneOf:
		return d.oneOf(n, s, where)
	case kindVariants:
		return d.variants(n, s)
	case kindAny:
		return &value{}
	default:
		return d.either(n, s, where)
	}
}

// mismatch tells that YAML made something else of a value than what belongs there.
func (d *decoder) mismatch(n *node, s *shape, where spot) {
	message := fmt.Sprintf("%s is %s, not %s", where.name, s.what(), n.kind.article())
	switch {
	case s.accepts(nodeText) && (n.kind == nodeNumber || n.kind == nodeDecimal || n.kind == nodeFlag):
		d.numberForText(n, s, where, message)
	case s.accepts(nodeFlag) && n.kind == nodeText:
		d.wrong(n.at, message, "write true or false")
	case s.accepts(nodeNumber) && n.kind == nodeText:
		d.wrong(n.at, message, "write it without quotes and units")
	default:
		d.wrong(n.at, message, "")
	}
}

func (d *decoder) numberForText(n *node, s *shape, where spot, message string) {
	if s.kind == kindDuration || s.kind == kindEither && !hasPlainText(s) {
		d.wrong(n.at, message, "say the unit: "+n.text+"s or "+n.text+"m")
		return
	}
	d.wrong(n.at, fmt.Sprintf("%s is %s, which YAML reads as %s and not as a text", where.name, clip(n.text), n.kind.article()),
		fmt.Sprintf("put it in quotes: %q", clip(n.text)))
}

func hasPlainText(s *shape) bool {
	return slices.ContainsFunc(s.either, func(e *shape) bool { return e.kind == kindText || e.kind == kindOneOf })
}

func (d *decoder) text(n *node, s *shape, where spot) *value {
	if strings.TrimSpace(n.text) == "" && !s.empty {
		d.wrong(n.at, where.name+" is empty", "give it a value, or take the key out")
		return nil
	}
	if strings.ContainsRune(n.text, 0) {
		d.wrong(n.at, where.name+" holds a zero byte", "")
		return nil
	}
	if len(s.words) > 0 {
		return d.word(n, s, where)
	}
	if s.format != nil {
		if wrong, hint := s.format.check(n.text); wrong != "" {
			d.wrong(n.at, wrong, hint)
			return nil
		}
	}
	return &value{text: n.text}
}

func (d *decoder) word(n *node, s *shape, where spot) *value {
	for _, w := range s.words {
		if w.text != n.text {
			continue
		}
		if w.later {
			d.notYet(n.at, where.name+": "+w.text, supportedWords(s.words))
			return nil
		}
		return &value{text: n.text}
	}
	d.wrong(n.at, fmt.Sprintf("%s is %s, not %q", where.name, s.what(), clip(n.text)),
		suggest(n.text, wordTexts(s.words), ""))
	return nil
}

func (d *decoder) number(n *node, s *shape, where spot) *value {
	number, err := strconv.Atoi(n.text)
	if err != nil || number < s.min || number > s.max {
		d.wrong(n.at, fmt.Sprintf("%s is %s; it is a whole number from %d to %d", where.name, clip(n.text), s.min, s.max), "")
		return nil
	}
	return &value{number: number}
}

// decimal is judged as the same number in quotes is.
func (d *decoder) decimal(n *node) *value {
	if wrong, hint := numberFormat().check(n.text); wrong != "" {
		d.wrong(n.at, wrong, hint)
		return nil
	}
	return &value{}
}

func (d *decoder) duration(n *node, s *shape, where spot) *value {
	for _, w := range s.words {
		if w.text == n.text {
			return &value{text: n.text}
		}
	}
	length, err := parseDuration(n.text)
	switch {
	case err != nil:
		d.wrong(n.at, fmt.Sprintf("%s is %s, not %q", where.name, s.what(), clip(n.text)), "the units are ms, s, m, h and d")
		return nil
	case length < s.low || length > s.high:
		d.wrong(n.at, fmt.Sprintf("%s is %s; it lasts from %s to %s", where.name, n.text, formatDuration(s.low), formatDuration(s.high)), "")
		return nil
	}
	return &value{text: n.text, length: length}
}

func (d *decoder) list(n *node, s *shape, where spot) *value {
	v := &value{list: true}
	for _, item := range n.items {
		name := "an item of " + where.name
		if got := d.decode(item, s.of, spot{name: name, key: item.at}); got != nil {
			v.items = append(v.items, got)
		} else {
			v.broken = true
		}
	}
	return v
}

func (d *decoder) table(n *node, s *shape, where spot) *value {
	v := &value{fields: map[string]*value{}}
	d.duplicates(n.entries)
	for _, e := range n.entries {
		if wrong, hint := s.keys.check(e.key); wrong != "" {
			d.wrong(e.at, wrong, hint)
		}
		got := d.decode(e.value, s.of, spot{name: clip(e.key), key: e.at})
		if _, twice := v.fields[e.key]; !twice {
			v.fields[e.key] = got
			v.order = append(v.order, e.key)
		}
	}
	return v
}

func (d *decoder) either(n *node, s *shape, where spot) *value {
	for _, e := range s.either {
		if e.accepts(n.kind) {
			return d.decode(n, e, where)
		}
	}
	return nil
}

// oneOf reads a mapping with exactly one key, or that key as a bare word.
func (d *decoder) oneOf(n *node, s *shape, where spot) *value {
	if n.kind == nodeText {
		return d.bareWord(n, s, where)
	}
	if len(n.entries) == 0 {
		d.wrong(where.key, where.name+" is empty", "it is "+s.what())
		return nil
	}
	v := &value{fields: d.oneOfFields(n, s, where)}
	var known []string
	for _, e := range n.entries {
		if _, ok := findField(s.fields, e.key); ok {
			known = append(known, e.key)
		}
	}
	if len(known) > 1 && known[0] != known[1] {
		d.wrong(n.entries[1].at, fmt.Sprintf("%s is one thing, and here are %s", where.name, joinAnd(known)), "keep one of them")
		return nil
	}
	if len(known) == 0 || v.get(known[0]) == nil {
		return nil
	}
	v.variant = known[0]
	return v
}

// oneOfFields reads the keys of a one-of. Its other keys are no defaults of it.
func (d *decoder) oneOfFields(n *node, s *shape, where spot) map[string]*value {
	got := d.fields(n, s.fields, n.entries, where)
	for key, v := range got {
		if v != nil && !v.given {
			delete(got, key)
		}
	}
	return got
}

func (d *decoder) bareWord(n *node, s *shape, where spot) *value {
	f, ok := findField(s.fields, n.text)
	switch {
	case !ok:
		d.wrong(n.at, fmt.Sprintf("%s is %s, not %q", where.name, s.what(), clip(n.text)), suggest(n.text, keysOf(s.fields), ""))
		return nil
	case f.later:
		d.notYet(n.at, where.name+": "+f.key, supportedKeys(s.fields))
		return nil
	case !f.bare:
		d.wrong(n.at, fmt.Sprintf("%s: %s needs settings", where.name, f.key), fmt.Sprintf("write {%s: {…}}", f.key))
		return nil
	}
	settings := &value{at: n.at, key: n.at, fields: map[string]*value{}}
	d.fill(settings.fields, f.shape.fields, n.at)
	return &value{text: n.text, variant: f.key, fields: map[string]*value{f.key: settings}}
}

// notYet refuses what belongs to the grammar but has no feature behind it.
func (d *decoder) notYet(at place, what string, instead []string) {
	hint := "leave it out until a later version reads it"
	if len(instead) > 0 {
		hint = "supported by now: " + strings.Join(instead, ", ")
	}
	d.wrong(at, what+" is not supported yet", hint)
}

// variants reads a mapping whose kind is one of its keys.
func (d *decoder) variants(n *node, s *shape) *value {
	kinds := kindsIn(n, s)
	if len(kinds) > 1 {
		second, _ := n.find(kinds[1].key)
		d.wrong(second.at, fmt.Sprintf("a step has one kind, and this one is %s and %s", kinds[0].key, kinds[1].key), "make two steps of it")
		return nil
	}
	if len(kinds) == 0 || beginsMistyped(n, s, kinds[0]) {
		d.noKind(n, s)
		return nil
	}
	kind := kinds[0]
	named, _ := n.find(kind.key)
	where := spot{name: "a " + kind.key + " step", key: named.at}
	return &value{variant: kind.key, fields: d.fields(n, kind.fields, n.entries, where)}
}

// kindsIn answers the kinds whose keys stand in a step. A key that belongs to a step of another kind does not count as
// one, so that `run` in a build step is its script.
func kindsIn(n *node, s *shape) []variant {
	var kinds []variant
	for _, v := range s.variants {
		if _, ok := n.find(v.key); !ok {
			continue
		}
		if len(kinds) > 0 {
			if _, belongs := findField(kinds[0].fields, v.key); belongs {
				continue
			}
		}
		kinds = append(kinds, v)
	}
	return kinds
}

// beginsMistyped says that a step's first key is no key of its kind but nearly the key of one, as in `tset` before
// `run`: then the kind was mistyped, and `run` is the script.
func beginsMistyped(n *node, s *shape, kind variant) bool {
	first := n.entries[0].key
	_, known := findField(kind.fields, first)
	return !known && nearest(first, variantKeys(s.variants)) != ""
}

func variantKeys(variants []variant) []string {
	keys := make([]string, len(variants))
	for i, v := range variants {
		keys[i] = v.key
	}
	return keys
}

func (d *decoder) noKind(n *node, s *shape) {
	names := variantKeys(s.variants)
	for _, e := range n.entries {
		if best := nearest(e.key, names); best != "" {
			d.unknown(e, names, "")
			return
		}
	}
	at := n.at
	if len(n.entries) > 0 {
		at = n.entries[0].at
	}
	d.wrong(at, "this step has no kind", "it begins with "+joinOr(names)+", and its name")
}

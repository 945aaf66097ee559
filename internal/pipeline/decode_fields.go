package pipeline

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// fields reads the keys of a mapping: unknown ones, doubled ones, missing ones, defaults.
func (d *decoder) fields(n *node, fields []field, entries []entry, where spot) map[string]*value {
	d.duplicates(entries)
	got := map[string]*value{}
	for _, e := range entries {
		f, ok := findField(fields, e.key)
		if !ok {
			d.unknownField(e, fields, where.name)
			continue
		}
		v := d.decode(e.value, f.shape, spot{name: f.key, key: e.at})
		switch {
		case f.later && e.value.takesEffect():
			d.notYet(e.at, strconv.Quote(f.key), nil)
		case !f.later && got[e.key] == nil:
			got[e.key] = v
		}
	}
	for _, f := range fields {
		if _, given := n.find(f.key); f.required && !given {
			d.wrong(where.key, fmt.Sprintf("%s needs %q", where.name, f.key), f.doc)
		}
	}
	d.fill(got, fields, where.key)
	return got
}

// fill adds the defaults of keys that are not there; a mapping that is not there becomes one of defaults.
func (d *decoder) fill(got map[string]*value, fields []field, at place) {
	for _, f := range fields {
		if got[f.key] != nil || f.later || f.required {
			continue
		}
		if f.fallback != "" {
			got[f.key] = f.fallbackValue(at)
		} else if inner := f.shape.settings(); inner != nil {
			v := &value{at: at, key: at, fields: map[string]*value{}}
			d.fill(v.fields, inner.fields, at)
			got[f.key] = v
		}
	}
}

func (d *decoder) duplicates(entries []entry) {
	first := map[string]place{}
	for _, e := range entries {
		at, twice := first[e.key]
		if !twice {
			first[e.key] = e.at
			continue
		}
		d.wrong(e.at, fmt.Sprintf("%q stands here twice, first in line %d", clip(e.key), at.line), "keep one of them")
	}
}

func (d *decoder) unknownField(e entry, fields []field, owner string) {
	for _, f := range fields {
		if slices.Contains(f.aka, strings.ToLower(e.key)) {
			d.wrong(e.at, fmt.Sprintf("unknown key %q", clip(e.key)), fmt.Sprintf("did you mean %q?", f.key))
			return
		}
	}
	d.unknown(e, keysOf(fields), owner)
}

func (d *decoder) unknown(e entry, known []string, owner string) {
	otherwise := "take it out"
	if owner != "" && len(known) > 0 && len(known) < 12 {
		otherwise = fmt.Sprintf("%s takes %s", owner, strings.Join(known, ", "))
	}
	d.wrong(e.at, fmt.Sprintf("unknown key %q", clip(e.key)), suggest(e.key, known, otherwise))
}

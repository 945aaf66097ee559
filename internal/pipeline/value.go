package pipeline

import (
	"strconv"
	"time"
)

// value is a part of the file that has the shape it should have. What was wrong is told already and left out, so that
// building can go on and find more. Every method answers the zero value for what is not there.
type value struct {
	at      place  // of the value
	key     place  // of its key; of the value itself in a list
	text    string // of texts and durations, as written
	raw     string // of whatever is neither a list nor a mapping, as YAML reads it
	number  int
	flag    bool
	length  time.Duration
	fields  map[string]*value
	order   []string // keys of a table, as they stand in the file
	items   []*value
	variant string // which of one-of, or of the variants
	given   bool   // written in the file, not a default
	list    bool
	broken  bool // of a list: an item could not be read
}

// get answers the value of a key; nil where there is none.
func (v *value) get(path ...string) *value {
	for _, key := range path {
		if v == nil {
			return nil
		}
		v = v.fields[key]
	}
	return v
}

// has says whether a key was written in the file, and rightly.
func (v *value) has(key string) bool {
	f := v.get(key)
	return f != nil && f.given
}

// misread says that a key was written in the file, but wrongly.
func (v *value) misread(key string) bool {
	f, written := v.fields[key]
	return written && f == nil
}

// keys answers the keys of a table, as they stand in the file.
func (v *value) keys() []string {
	if v == nil {
		return nil
	}
	return v.order
}

// isBroken says that an item of a list could not be read, which is told already.
func (v *value) isBroken() bool { return v != nil && v.broken }

func (v *value) isMapping() bool { return v != nil && v.fields != nil }

func (v *value) string() string {
	if v == nil {
		return ""
	}
	return v.text
}

func (v *value) int() int {
	if v == nil {
		return 0
	}
	return v.number
}

func (v *value) bool() bool { return v != nil && v.flag }

func (v *value) duration() time.Duration {
	if v == nil {
		return 0
	}
	return v.length
}

// texts answers a list, or one text as a list of itself; nil where nothing was written.
func (v *value) texts() []string {
	switch {
	case v == nil:
		return nil
	case !v.list:
		return []string{v.text}
	}
	texts := make([]string, len(v.items))
	for i, item := range v.items {
		texts[i] = item.text
	}
	return texts
}

// each answers the items of a list, or a single text as the only item, with their places.
func (v *value) each() []*value {
	switch {
	case v == nil:
		return nil
	case v.list:
		return v.items
	default:
		return []*value{v}
	}
}

// table answers a table of texts; nil where there is none.
func (v *value) table() map[string]string {
	if v == nil || len(v.fields) == 0 {
		return nil
	}
	m := make(map[string]string, len(v.fields))
	for key, f := range v.fields {
		m[key] = f.string()
	}
	return m
}

// fallback is a default, as a value. Shapes that are either try what the text reads as.
func (f field) fallbackValue(at place) *value {
	v := &value{at: at, key: at, text: f.fallback}
	if n, err := strconv.Atoi(f.fallback); err == nil {
		v.number = n
	}
	if d, err := parseDuration(f.fallback); err == nil {
		v.length = d
	}
	v.flag = f.fallback == "true"
	v.variant = f.fallback
	return v
}

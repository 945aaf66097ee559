package pipeline

import (
	"slices"
	"time"
)

// kind is what a value of the file may be.
type kind int

const (
	kindText     kind = iota
	kindNumber        // a whole one
	kindDecimal       // a number that need not be whole
	kindFlag          // true or false
	kindDuration      // a text such as 30s or 1h30m
	kindList          // of one shape
	kindMapping       // with fixed keys
	kindTable         // a mapping with free keys
	kindOneOf         // a mapping with exactly one of the keys, or the bare word of one that needs no settings
	kindVariants      // a mapping whose kind is said by which of some keys it has
	kindAny           // whatever it is; only for what is not supported yet
	kindEither        // one of several shapes, told apart by what YAML makes of the value
)

// shape says what a value may be. Parser, JSON Schema, defaults and suggestions all come from it.
type shape struct {
	kind      kind
	format    *format       // of texts
	words     []word        // the only texts there may be; none is any
	min, max  int           // of numbers
	low, high time.Duration // of durations
	fields    []field       // of mappings and of one-of
	of        *shape        // what a list or a table holds
	keys      *format       // of a table
	either    []*shape      // each of another kind
	variants  []variant     // by kind's key
	later     bool          // parsed, and refused because no feature stands behind it yet
	empty     bool          // a text may be empty
}

// field is a key of a mapping.
type field struct {
	key      string
	doc      string // what it means, for the schema and for hints
	shape    *shape
	required bool
	fallback string // the default, as it would be written; empty is none, or one that depends on other keys
	later    bool
	bare     bool     // of one-of: may stand as a word, without settings
	aka      []string // what others call it, for suggestions
}

// word is a text that a key may hold.
type word struct {
	text  string
	later bool
}

// variant is a mapping that is recognized by a key of its own, which names it.
type variant struct {
	key    string
	fields []field // the first is the key itself
}

// format is what a text has to look like.
type format struct {
	what    string // ends the sentence "… is "
	pattern string // a regular expression for the schema; empty is any text
	check   func(string) (wrong, hint string)
}

func text(f *format) *shape                { return &shape{kind: kindText, format: f} }
func yesNo() *shape                        { return &shape{kind: kindFlag} }
func number(low, high int) *shape          { return &shape{kind: kindNumber, min: low, max: high} }
func decimal() *shape                      { return &shape{kind: kindDecimal} }
func list(of *shape) *shape                { return &shape{kind: kindList, of: of} }
func mapping(fields ...field) *shape       { return &shape{kind: kindMapping, fields: fields} }
func oneOf(fields ...field) *shape         { return &shape{kind: kindOneOf, fields: fields} }
func either(shapes ...*shape) *shape       { return &shape{kind: kindEither, either: shapes} }
func table(keys *format, of *shape) *shape { return &shape{kind: kindTable, keys: keys, of: of} }

// several is one text or a list of them.
func several(f *format) *shape { return either(text(f), list(text(f))) }

func duration(low, high time.Duration) *shape {
	return &shape{kind: kindDuration, low: low, high: high}
}

func choice(words ...word) *shape { return &shape{kind: kindText, words: words} }

func words(texts ...string) *shape {
	s := &shape{kind: kindText}
	for _, t := range texts {
		s.words = append(s.words, word{text: t})
	}
	return s
}

// notYet is the same shape, refused where it would take effect.
func notYet(s *shape) *shape {
	later := *s
	later.later = true
	return &later
}

// accepts says whether a value of that kind of YAML may have the shape, before its content is looked at.
func (s *shape) accepts(k nodeKind) bool {
	switch s.kind {
	case kindText, kindDuration:
		return k == nodeText
	case kindNumber:
		return k == nodeNumber
	case kindDecimal:
		return k == nodeNumber || k == nodeDecimal
	case kindFlag:
		return k == nodeFlag
	case kindList:
		return k == nodeList
	case kindOneOf:
		return k == nodeMapping || k == nodeText
	case kindAny:
		return true
	case kindEither:
		return slices.ContainsFunc(s.either, func(e *shape) bool { return e.accepts(k) })
	default:
		return k == nodeMapping
	}
}

// settings answers the mapping that the shape is or may be; nil where it is none.
func (s *shape) settings() *shape {
	if s.kind == kindMapping {
		return s
	}
	for _, e := range s.either {
		if e.kind == kindMapping && !e.later {
			return e
		}
	}
	return nil
}

// what ends the sentence "… is ".
func (s *shape) what() string {
	switch s.kind {
	case kindNumber:
		return "a whole number"
	case kindDecimal:
		return "a number"
	case kindFlag:
		return "true or false"
	case kindDuration:
		return "a duration such as 30s or 1h30m"
	case kindList:
		return "a list"
	case kindOneOf:
		return "one of " + joinOr(keysOf(s.fields))
	case kindEither:
		parts := make([]string, len(s.either))
		for i, e := range s.either {
			parts[i] = e.what()
		}
		return joinOr(parts)
	case kindText:
		return s.whatText()
	default:
		return "a mapping"
	}
}

func (s *shape) whatText() string {
	switch {
	case len(s.words) > 0:
		return joinOr(wordTexts(s.words))
	case s.format != nil:
		return s.format.what
	default:
		return "a text"
	}
}

func keysOf(fields []field) []string {
	keys := make([]string, len(fields))
	for i, f := range fields {
		keys[i] = f.key
	}
	return keys
}

func supportedKeys(fields []field) []string {
	var keys []string
	for _, f := range fields {
		if !f.later {
			keys = append(keys, f.key)
		}
	}
	return keys
}

func wordTexts(words []word) []string {
	texts := make([]string, len(words))
	for i, w := range words {
		texts[i] = w.text
	}
	return texts
}

func supportedWords(words []word) []string {
	var texts []string
	for _, w := range words {
		if !w.later {
			texts = append(texts, w.text)
		}
	}
	return texts
}

func findField(fields []field, key string) (field, bool) {
	for _, f := range fields {
		if f.key == key {
			return f, true
		}
	}
	return field{}, false
}

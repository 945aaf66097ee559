package pipeline

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// maxCombinations is how many steps the matrix of one step may make, those that it excludes among them.
const maxCombinations = 256

// matrix is what a step is run for, once for each combination.
type matrix struct {
	axes    []axis // in the order of the file
	exclude []combination
	include []combination
}

// axis is a key of a matrix with its values.
type axis struct {
	key    string
	values []string
}

// combination is a value for some of the keys of a matrix, or for all of them.
type combination map[string]string

// The keys of a matrix that are no axes.
const (
	excludeKey = "exclude"
	includeKey = "include"
)

// The axes that say which workers may run a combination.
const (
	systemAxis = "os"
	archAxis   = "arch"
	labelsAxis = "labels"
)

// combinations answers all of them: the values of the last key follow each other fastest, and what is included comes last.
func (m matrix) combinations() []combination {
	all := []combination{{}}
	for _, a := range m.axes {
		var longer []combination
		for _, c := range all {
			for _, value := range a.values {
				next := maps.Clone(c)
				next[a.key] = value
				longer = append(longer, next)
			}
		}
		all = longer
	}
	all = slices.DeleteFunc(all, func(c combination) bool {
		return slices.ContainsFunc(m.exclude, func(out combination) bool { return c.has(out) })
	})
	return append(all, m.include...)
}

// size is how many combinations the axes have, at most one more than is allowed.
func (m matrix) size() int {
	size := 1
	for _, a := range m.axes {
		size = min(size*len(a.values), maxCombinations+1)
	}
	return size
}

// has says that the combination has every value of the other.
func (c combination) has(part combination) bool {
	for key, value := range part {
		if c[key] != value {
			return false
		}
	}
	return true
}

// unfitForName is what stands in no step's name.
var unfitForName = regexp.MustCompile(`[^A-Za-z0-9._]+`)

// nameOf names the step of a combination: unit-1.25-linux. Such a name is one word in a shell, and a folder everywhere.
func (m matrix) nameOf(step string, c combination) string {
	parts := []string{step}
	for _, a := range m.axes {
		parts = append(parts, unfitForName.ReplaceAllString(c[a.key], "-"))
	}
	return strings.Join(parts, "-")
}

// matrix reads what a step is run for; nil where it is run once.
func (b *builder) matrix(step, v *value) *matrix {
	if v == nil || len(v.order) == 0 {
		return nil
	}
	m := &matrix{}
	for _, key := range v.order {
		if key != excludeKey && key != includeKey {
			m.axes = append(m.axes, b.axis(step, key, v.get(key)))
		}
	}
	b.checkAxes(v, m)
	m.exclude = b.combinationsIn(step, v.get(excludeKey), m, false)
	m.include = b.combinationsIn(step, v.get(includeKey), m, true)
	if m.size()+len(m.include) > maxCombinations {
		b.unfit(v.key, fmt.Sprintf("this matrix has more than %d combinations", maxCombinations),
			"leave values out, or make several steps of it; those that it excludes are counted too")
		return nil
	}
	if len(m.combinations()) == 0 && !b.failed() {
		b.unfit(v.key, "this matrix has no combinations", "give each key a value, and leave one combination in")
	}
	return m
}

func (b *builder) axis(step *value, key string, v *value) axis {
	a := axis{key: key}
	for _, item := range v.each() {
		if item.isMapping() {
			b.wrong(item.at, "a value of "+key+" is a text or a whole number", "only exclude and include hold combinations")
			continue
		}
		if slices.Contains(a.values, item.raw) {
			b.wrong(item.at, fmt.Sprintf("%s has the value %s twice", key, clip(item.raw)), "keep one of them")
			continue
		}
		b.checkAxisValue(step, key, item)
		a.values = append(a.values, item.raw)
	}
	return a
}

// checkAxisValue refuses what no worker can have, where the axis says which workers may run a combination.
func (b *builder) checkAxisValue(step *value, key string, item *value) {
	form := labelFormat()
	switch said := selector(step.get("worker")); {
	case key == systemAxis && said.OS == "":
		form = systemFormat()
	case key == archAxis && said.Arch == "":
		form = architectureFormat()
	case key != labelsAxis:
		return
	}
	if wrong, hint := form.check(item.raw); wrong != "" {
		b.wrong(item.at, wrong, hint)
	}
}

func (b *builder) checkAxes(v *value, m *matrix) {
	variables := map[string]string{}
	for _, a := range m.axes {
		name := matrixVariable(a.key)
		if other, twice := variables[name]; twice {
			b.wrong(v.get(a.key).key, fmt.Sprintf("%s and %s would both be %s", other, a.key, name), "rename one of them")
		}
		variables[name] = a.key
		if len(a.values) == 0 && !v.get(a.key).isBroken() {
			b.wrong(v.get(a.key).key, a.key+" has no values", "give it one, or take the key out")
		}
	}
}

// combinationsIn reads exclude, whose items name some of the keys, and include, whose items name all of them.
func (b *builder) combinationsIn(step, v *value, m *matrix, whole bool) []combination {
	var found []combination
	for _, item := range v.each() {
		if !item.isMapping() {
			b.wrong(item.at, "this is no combination", "write it like {"+joinKeys(m)+"}")
			continue
		}
		c := combination{}
		for _, key := range item.order {
			if !slices.ContainsFunc(m.axes, func(a axis) bool { return a.key == key }) {
				b.wrong(item.get(key).key, fmt.Sprintf("the matrix has no key %q", clip(key)), "its keys are "+joinKeys(m))
				continue
			}
			b.checkAxisValue(step, key, item.get(key))
			c[key] = item.get(key).raw
		}
		if b.checkCombination(item, c, m, whole) {
			found = append(found, c)
		}
	}
	return found
}

func (b *builder) checkCombination(item *value, c combination, m *matrix, whole bool) bool {
	known := matrix{axes: m.axes}.matches(c)
	switch {
	case len(c) < len(item.order): // it was told
	case len(c) == 0:
		b.wrong(item.at, "this combination is empty", "its keys are "+joinKeys(m))
	case whole && len(c) < len(m.axes):
		b.wrong(item.at, "this combination has no value for some key", "what is included says all of "+joinKeys(m))
	case whole && known:
		b.wrong(item.at, "the matrix has this combination already", "take it out")
	case !whole && !known:
		b.wrong(item.at, "the matrix has no combination like this one", "take it out, or name values that stand above")
	default:
		return true
	}
	return false
}

// matches says that the axes have a combination with all these values.
func (m matrix) matches(part combination) bool {
	for _, a := range m.axes {
		if value, said := part[a.key]; said && !slices.Contains(a.values, value) {
			return false
		}
	}
	return true
}

func joinKeys(m *matrix) string {
	var keys []string
	for _, a := range m.axes {
		keys = append(keys, a.key)
	}
	return joinAnd(keys)
}

// matrixVariable is what a script reads a key's value from.
func matrixVariable(key string) string { return "TOWPATH_MATRIX_" + strings.ToUpper(key) }

package pipeline

import (
	"fmt"
	"strconv"

	"github.com/towpath-cd/towpath"
)

// queries takes one query of a watch, or several.
func (b *builder) queries(environment string, watch *value) (queries []towpath.QueryDefinition) {
	if !watch.has("query") {
		return nil
	}
	for _, q := range watch.get("query").each() {
		made := towpath.QueryDefinition{
			Prometheus: q.get("prometheus").string(), Expr: q.get("expr").string(),
			AtMost: q.get("at_most").float(), AtLeast: q.get("at_least").float(),
		}
		if made.AtMost == nil && made.AtLeast == nil && !q.misread("at_most") && !q.misread("at_least") {
			b.unfit(q.at, environment+" does not say which values of a query are good", "add at_most or at_least, for example at_most: 1%")
		}
		queries = append(queries, made)
	}
	return queries
}

// float answers a number that need not be whole; nil where there is none.
func (v *value) float() *float64 {
	if v == nil {
		return nil
	}
	number, err := parseNumber(v.raw)
	if err != nil {
		return nil // its format was checked
	}
	return &number
}

func (w *writer) queries(queries []towpath.QueryDefinition) {
	if len(queries) == 0 {
		return
	}
	w.open(3, "query")
	for _, q := range queries {
		fmt.Fprintf(w, "        - prometheus: %s\n", scalarText(q.Prometheus))
		w.put(5, "expr", q.Expr)
		w.limit("at_least", q.AtLeast)
		w.limit("at_most", q.AtMost)
	}
}

func (w *writer) limit(key string, v *float64) {
	if v != nil {
		w.put(5, key, strconv.FormatFloat(*v, 'g', -1, 64))
	}
}

package web

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/towpath-cd/towpath"
)

// parameter is a value that a call takes in its query.
type parameter struct {
	name, kind, doc string // the kind is JSON Schema's
}

func aText(name, doc string) parameter   { return parameter{name, "string", doc} }
func aNumber(name, doc string) parameter { return parameter{name, "integer", doc} }

// paged are those of a list that is answered a part at a time, newest first, and others that it has.
func paged(before func(name, doc string) parameter, last string, others ...parameter) []parameter {
	return append(others, before("before", last+" of the last that was answered; it goes on behind that"), limited())
}

func limited() parameter {
	return aNumber("limit", fmt.Sprintf("how many at most, 1 to %d (default %d)", listedMost, listed))
}

// checkQuery refuses what the call does not know: a filter that is misspelt would list everything.
func checkQuery(r *http.Request, known []parameter) error {
	if r.URL.RawQuery == "" {
		return nil
	}
	names := make([]string, len(known))
	for i, p := range known {
		names[i] = p.name
	}
	for name := range r.URL.Query() {
		if slices.Contains(names, name) {
			continue
		}
		err := towpath.Errorf(towpath.CodeInvalid, "this call has no parameter %q", name)
		if len(names) == 0 {
			return err.WithHint("it takes none in its address")
		}
		return err.WithHint("it takes %s", strings.Join(names, ", "))
	}
	return nil
}

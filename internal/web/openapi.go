package web

import (
	"net/http"
	"reflect"
	"regexp"
	"strings"

	"github.com/google/jsonschema-go/jsonschema"

	"github.com/towpath-cd/towpath/client"
	"github.com/towpath-cd/towpath/internal/access"
)

// shape is what a call takes and answers; nil is nothing.
type shape struct {
	takes, answers reflect.Type
	query          []parameter
}

var pathValue = regexp.MustCompile(`\{([a-z]+)\}`)

// openAPI describes the API as OpenAPI 3.1, from the table of routes and the types of the handlers.
func (s *Server) openAPI(w http.ResponseWriter, _ *http.Request, _ access.Caller) {
	paths := map[string]map[string]any{}
	for _, route := range access.Routes {
		known, ok := s.shapes[route.String()]
		if !ok {
			continue
		}
		if paths[route.Pattern] == nil {
			paths[route.Pattern] = map[string]any{}
		}
		paths[route.Pattern][strings.ToLower(route.Method)] = operationOf(route, known)
	}
	writeJSON(w, http.StatusOK, map[string]any{
		"openapi": "3.1.0",
		"info":    map[string]string{"title": "Towpath", "version": s.Version},
		"paths":   paths,
	})
}

func operationOf(route access.Route, known shape) map[string]any {
	operation := map[string]any{
		"description": "needs " + string(route.Needs),
		"responses": map[string]any{
			"200":     content("the answer", known.answers),
			"default": content("an error", reflect.TypeFor[client.Error]()),
		},
	}
	var parameters []any
	for _, name := range pathValue.FindAllStringSubmatch(route.Pattern, -1) {
		parameters = append(parameters, map[string]any{
			"name": name[1], "in": "path", "required": true, "schema": map[string]string{"type": "string"},
		})
	}
	for _, p := range known.query {
		parameters = append(parameters, map[string]any{
			"name": p.name, "in": "query", "description": p.doc, "schema": map[string]string{"type": p.kind},
		})
	}
	if parameters != nil {
		operation["parameters"] = parameters
	}
	if known.takes != nil {
		operation["requestBody"] = content("", known.takes)
	}
	return operation
}

func content(description string, t reflect.Type) map[string]any {
	described := map[string]any{}
	if description != "" {
		described["description"] = description
	}
	if t == nil {
		return described
	}
	schema, err := jsonschema.ForType(t, &jsonschema.ForOptions{})
	if err == nil {
		described["content"] = map[string]any{"application/json": map[string]any{"schema": schema}}
	}
	return described
}

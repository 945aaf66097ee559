package web_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
)

func TestAParameterThatACallDoesNotKnowIsRefused(t *testing.T) {
	h := newHouse(t)
	h.project("shop")
	boss := h.person("boss", "administrator", "")
	for path, hint := range map[string]string{
		"/api/v1/runs?stat=failed":           "it takes project, pipeline, branch, state, before, limit",
		"/api/v1/projects/shop?limit=5":      "it takes none in its address",
		"/api/v1/projects/shop/cache?kye=go": "it takes key", // without its filter it would clear everything
	} {
		method := http.MethodGet
		if strings.Contains(path, "cache") {
			method = http.MethodDelete
		}
		status, said := h.asksFor(boss, method, path)
		if status != http.StatusUnprocessableEntity || !strings.Contains(said, "has no parameter") || !strings.Contains(said, hint) {
			t.Errorf("%s %s was answered %d %s", method, path, status, said)
		}
	}
	if status, said := h.asksFor(boss, http.MethodGet, "/api/v1/runs?state=failed,running&limit=5&pipeline=shop"); status != http.StatusOK {
		t.Errorf("what it knows was answered %d %s", status, said)
	}
}

// asksFor makes a call, and answers what was said.
func (h *house) asksFor(who person, method, path string) (status int, said string) {
	h.Helper()
	request, err := http.NewRequestWithContext(h.Context(), method, h.URL+path, nil)
	must(h.T, err)
	request.Header.Set("Authorization", "Bearer "+who.token)
	response, err := http.DefaultClient.Do(request)
	must(h.T, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	must(h.T, err)
	return response.StatusCode, string(body)
}

func TestTheDescriptionOfTheAPINamesWhatCallsTakeInTheirQuery(t *testing.T) {
	h := newHouse(t)
	boss := h.person("boss", "administrator", "")
	_, said := h.asksFor(boss, http.MethodGet, "/api/v1/openapi.json")
	var described struct {
		Paths map[string]map[string]struct {
			Parameters []struct{ Name, In, Description string }
		}
	}
	must(t, json.Unmarshal([]byte(said), &described))
	var query []string
	for _, p := range described.Paths["/api/v1/environments/{pipeline}/{environment}/deployments"]["get"].Parameters {
		if p.In == "query" && p.Description != "" {
			query = append(query, p.Name)
		}
	}
	if strings.Join(query, " ") != "before limit" {
		t.Errorf("the list of deployments takes %v", query)
	}
}

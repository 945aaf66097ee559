package gitea

import (
	"net/http"
	"testing"

	"github.com/towpath-cd/towpath/internal/forge"
	"github.com/towpath-cd/towpath/internal/forge/forgetest"
)

func TestAPI(t *testing.T) {
	forgetest.Suite(t, forgetest.API{
		Kind: Kind(), New: model, Path: "ana/shop", Want: want,
		Events: []string{"push", "delete", "pull_request_only", "pull_request_sync"},
	})
}

var want = forge.Repository{
	Path: "ana/shop", DefaultBranch: "main", CloneHTTPS: "https://git.example.com/ana/shop.git",
	CloneSSH: "git@git.example.com:ana/shop.git", Private: true, Protected: []string{"main", "release/*"},
}

// The bodies of the calls, as Gitea's own description of its API has them.
type (
	hookBody struct {
		Type   string            `json:"type"`
		Active bool              `json:"active"`
		Events []string          `json:"events"`
		Filter string            `json:"branch_filter"`
		Config map[string]string `json:"config"`
	}
	keyBody struct {
		Title    string `json:"title"`
		Key      string `json:"key"`
		ReadOnly bool   `json:"read_only"`
	}
	statusBody struct {
		State       string `json:"state"`
		TargetURL   string `json:"target_url"`
		Description string `json:"description"`
		Context     string `json:"context"`
	}
)

// model answers as Gitea does. A change of a webhook leaves its secret as it was, as in Gitea.
func model() *forgetest.Model {
	m := forgetest.NewModel("token " + forgetest.Token)
	const root = "/api/v1/repos/ana/shop"
	m.HandleFunc("GET "+root, func(w http.ResponseWriter, _ *http.Request) {
		forgetest.Say(w, 200, map[string]any{
			"id": 1, "full_name": "ana/shop", "default_branch": "main", "internal": true,
			"clone_url": want.CloneHTTPS, "ssh_url": want.CloneSSH,
		})
	})
	m.HandleFunc("GET "+root+"/branch_protections", func(w http.ResponseWriter, _ *http.Request) {
		forgetest.Say(w, 200, []map[string]string{{"rule_name": "main", "branch_name": "main"}, {"rule_name": "release/*"}})
	})
	handleHooks(m, root+"/hooks")
	handleKeys(m, root+"/keys")
	m.HandleFunc("POST "+root+"/statuses/{sha}", func(w http.ResponseWriter, r *http.Request) {
		b := forgetest.Hear[statusBody](r)
		m.SetStatus(r.PathValue("sha"), forge.Status{Context: b.Context, State: forge.State(b.State), Description: b.Description, URL: b.TargetURL})
		forgetest.Say(w, 201, map[string]int{})
	})
	return m
}

func handleHooks(m *forgetest.Model, root string) {
	m.HandleFunc("GET "+root, func(w http.ResponseWriter, r *http.Request) {
		var all []map[string]any
		for _, h := range m.Hooks {
			all = append(all, map[string]any{"id": h.ID, "type": "gitea", "config": map[string]string{"url": h.URL, "content_type": "json"}})
		}
		forgetest.Say(w, 200, forgetest.Page(w, r, all))
	})
	m.HandleFunc("POST "+root, func(w http.ResponseWriter, r *http.Request) {
		b := forgetest.Hear[hookBody](r)
		m.Hooks = append(m.Hooks, forgetest.Hook{
			ID: m.NextID(), URL: b.Config["url"], Secret: b.Config["secret"], JSON: b.Config["content_type"] == "json",
			Active: b.Active && b.Type == "gitea" && b.Filter == "*", Events: b.Events,
		})
		forgetest.Say(w, 201, map[string]int{})
	})
	m.HandleFunc("PATCH "+root+"/{id}", func(w http.ResponseWriter, r *http.Request) {
		b, id := forgetest.Hear[hookBody](r), forgetest.Number(r, "id")
		for _, h := range m.Hooks {
			if h.ID == id {
				h.URL, h.Events = b.Config["url"], b.Events
				m.SetHook(h)
			}
		}
		forgetest.Say(w, 200, map[string]int{})
	})
	m.HandleFunc("DELETE "+root+"/{id}", func(w http.ResponseWriter, r *http.Request) { m.DeleteHook(w, forgetest.Number(r, "id")) })
}

func handleKeys(m *forgetest.Model, root string) {
	m.HandleFunc("GET "+root, func(w http.ResponseWriter, r *http.Request) {
		var all []map[string]any
		for _, k := range m.Keys {
			all = append(all, map[string]any{"id": k.ID, "title": k.Title, "key": k.Text, "read_only": k.ReadOnly})
		}
		forgetest.Say(w, 200, forgetest.Page(w, r, all))
	})
	m.HandleFunc("POST "+root, func(w http.ResponseWriter, r *http.Request) {
		b := forgetest.Hear[keyBody](r)
		m.Keys = append(m.Keys, forgetest.Key{ID: m.NextID(), Title: b.Title, Text: b.Key, ReadOnly: b.ReadOnly})
		forgetest.Say(w, 201, map[string]int{})
	})
}

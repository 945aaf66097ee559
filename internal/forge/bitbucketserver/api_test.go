package bitbucketserver

import (
	"net/http"
	"strconv"
	"testing"

	"github.com/towpath-cd/towpath/internal/forge"
	"github.com/towpath-cd/towpath/internal/forge/forgetest"
)

func TestAPI(t *testing.T) {
	for path, token := range map[string][2]string{
		"PROJ/shop":     {forgetest.Token, "Bearer " + forgetest.Token},
		"scm/PROJ/shop": {"ana:pass-word", "Basic YW5hOnBhc3Mtd29yZA=="},
	} {
		forgetest.Suite(t, forgetest.API{
			Kind: Kind(), New: func() *forgetest.Model { return model(token[1]) }, Path: path, Token: token[0], Want: want,
			Events: []string{
				"repo:refs_changed", "pr:opened", "pr:from_ref_updated", "pr:modified", "pr:merged", "pr:declined", "pr:deleted",
			},
		})
	}
}

var want = forge.Repository{
	Path: "PROJ/shop", DefaultBranch: "main", CloneHTTPS: "https://bitbucket.example.com/scm/proj/shop.git",
	CloneSSH: "ssh://git@bitbucket.example.com:7999/proj/shop.git", Private: true, Protected: []string{"main", "release/*"},
}

// The bodies of the calls, as https://developer.atlassian.com/server/bitbucket/rest/ has them.
type (
	hookBody struct {
		Name          string            `json:"name"`
		URL           string            `json:"url"`
		Active        bool              `json:"active"`
		Events        []string          `json:"events"`
		Configuration map[string]string `json:"configuration"`
		Verified      bool              `json:"sslVerificationRequired"`
	}
	statusBody struct{ Key, Name, State, URL, Description string }
)

const at = "/projects/PROJ/repos/shop"

// model answers as Bitbucket Data Center documents it.
func model(authorization string) *forgetest.Model {
	m := forgetest.NewModel(authorization)
	const root = "/rest/api/latest" + at
	m.HandleFunc("GET "+root, func(w http.ResponseWriter, _ *http.Request) {
		forgetest.Say(w, 200, map[string]any{
			"id": 84, "slug": "shop", "name": "Shop", "project": map[string]string{"key": "PROJ"}, "public": false,
			"links": map[string]any{"clone": []map[string]string{{"name": "ssh", "href": want.CloneSSH}, {"name": "http", "href": want.CloneHTTPS}}},
		})
	})
	m.HandleFunc("GET "+root+"/default-branch", func(w http.ResponseWriter, _ *http.Request) {
		forgetest.Say(w, 200, map[string]string{"id": "refs/heads/main", "displayId": "main", "type": "BRANCH"})
	})
	m.HandleFunc("GET /rest/branch-permissions/2.0"+at+"/restrictions", func(w http.ResponseWriter, r *http.Request) {
		restriction := func(kind, id, show string) map[string]any {
			return map[string]any{"type": "no-deletes", "matcher": map[string]any{"id": id, "displayId": show, "type": map[string]string{"id": kind}}}
		}
		page(w, r, []map[string]any{
			restriction("BRANCH", "refs/heads/main", "main"), restriction("MODEL_BRANCH", "development", "Development"),
			restriction("PATTERN", "release/*", "release/*"),
		})
	})
	handleHooks(m, root+"/webhooks")
	handleKeys(m, "/rest/keys/latest"+at+"/ssh")
	m.HandleFunc("POST "+root+"/commits/{sha}/builds", func(w http.ResponseWriter, r *http.Request) {
		b := forgetest.Hear[statusBody](r)
		words := map[string]forge.State{"INPROGRESS": forge.StatePending, "SUCCESSFUL": forge.StateSuccess, "FAILED": forge.StateFailure}
		if b.URL == "" || words[b.State] == "" {
			forgetest.Say(w, 400, map[string]string{})
			return
		}
		m.SetStatus(r.PathValue("sha"), forge.Status{Context: b.Key, State: words[b.State], Description: b.Description, URL: b.URL})
		w.WriteHeader(http.StatusNoContent)
	})
	return m
}

func page[T any](w http.ResponseWriter, r *http.Request, all []T) {
	start, _ := strconv.Atoi(r.URL.Query().Get("start"))
	part, next := forgetest.Slice(all, start)
	answer := map[string]any{"values": part, "size": len(part), "start": start, "isLastPage": next == 0, "nextPageStart": nil}
	if next > 0 {
		answer["nextPageStart"] = next
	}
	forgetest.Say(w, 200, answer)
}

func (b hookBody) hook(id int) forgetest.Hook {
	return forgetest.Hook{ID: id, URL: b.URL, Secret: b.Configuration["secret"], JSON: b.Verified, Active: b.Active, Events: b.Events}
}

func handleHooks(m *forgetest.Model, root string) {
	m.HandleFunc("GET "+root, func(w http.ResponseWriter, r *http.Request) {
		var all []map[string]any
		for _, h := range m.Hooks {
			all = append(all, map[string]any{"id": h.ID, "name": "x", "url": h.URL, "active": h.Active})
		}
		page(w, r, all)
	})
	m.HandleFunc("POST "+root, func(w http.ResponseWriter, r *http.Request) {
		m.Hooks = append(m.Hooks, forgetest.Hear[hookBody](r).hook(m.NextID()))
		forgetest.Say(w, 201, map[string]int{})
	})
	m.HandleFunc("PUT "+root+"/{id}", func(w http.ResponseWriter, r *http.Request) {
		if !m.SetHook(forgetest.Hear[hookBody](r).hook(forgetest.Number(r, "id"))) {
			http.NotFound(w, r)
			return
		}
		forgetest.Say(w, 200, map[string]int{})
	})
	m.HandleFunc("DELETE "+root+"/{id}", func(w http.ResponseWriter, r *http.Request) { m.DeleteHook(w, forgetest.Number(r, "id")) })
}

func handleKeys(m *forgetest.Model, root string) {
	m.HandleFunc("GET "+root, func(w http.ResponseWriter, r *http.Request) {
		var all []accessKey
		for _, k := range m.Keys {
			var key accessKey
			key.Key.Text, key.Key.Label, key.Permission = k.Text, k.Title, "REPO_READ"
			all = append(all, key)
		}
		page(w, r, all)
	})
	m.HandleFunc("POST "+root, func(w http.ResponseWriter, r *http.Request) {
		b := forgetest.Hear[accessKey](r)
		m.Keys = append(m.Keys, forgetest.Key{ID: m.NextID(), Title: b.Key.Label, Text: b.Key.Text, ReadOnly: b.Permission == "REPO_READ"})
		forgetest.Say(w, 201, map[string]int{})
	})
}

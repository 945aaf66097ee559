package github

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/towpath-cd/towpath/internal/forge"
	"github.com/towpath-cd/towpath/internal/forge/forgetest"
)

var events = []string{"push", "pull_request"}

func TestAPIOfGitHub(t *testing.T) {
	forgetest.Suite(t, forgetest.API{
		Kind: Kind(), New: func() *forgetest.Model { return model("") }, Server: "https://github.com", Path: "ana/shop",
		Want: want, Events: events,
	})
}

func TestAPIOfAnEnterpriseServer(t *testing.T) {
	forgetest.Suite(t, forgetest.API{
		Kind: Kind(), New: func() *forgetest.Model { return model("/api/v3") }, Path: "ana/shop", Want: want, Events: events,
	})
}

func TestWhereTheAPIIs(t *testing.T) {
	for server, want := range map[string]string{
		"https://github.com": "https://api.github.com", "https://team.ghe.com": "https://api.team.ghe.com",
		"http://team.ghe.com": "https://api.team.ghe.com", "http://github.com": "https://api.github.com",
		"https://git.example.com": "https://git.example.com/api/v3",
	} {
		if got := address(server); got != want {
			t.Errorf("%s: %s", server, got)
		}
	}
}

func TestProtectedBranchesThatNobodyShows(t *testing.T) {
	m := model("")
	m.Closed = []string{"/repos/ana/shop/branches"}
	server := m.Start(t)
	api, err := open(forge.Where{
		Server: "https://github.com", Path: "ana/shop", Token: forgetest.Token, Client: &http.Client{Transport: forgetest.To(server)},
	})
	if err != nil {
		t.Fatal(err)
	}
	if r, err := api.Repository(t.Context()); err != nil || r.Protected != nil {
		t.Errorf("%+v, %v", r, err)
	}
}

var want = forge.Repository{
	Path: "ana/shop", DefaultBranch: "main", CloneHTTPS: "https://github.com/ana/shop.git", CloneSSH: "git@github.com:ana/shop.git",
	Private: true, Protected: []string{"main", "release/1", "release/2"},
}

// The bodies of the calls, as https://docs.github.com/en/rest has them.
type (
	hookBody struct {
		Name   string   `json:"name"`
		Active bool     `json:"active"`
		Events []string `json:"events"`
		Config struct {
			URL         string `json:"url"`
			ContentType string `json:"content_type"`
			Secret      string `json:"secret"`
			InsecureSSL string `json:"insecure_ssl"`
		} `json:"config"`
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

func (b hookBody) hook(id int) forgetest.Hook {
	return forgetest.Hook{
		ID: id, URL: b.Config.URL, Secret: b.Config.Secret, JSON: b.Config.ContentType == "json" && b.Config.InsecureSSL == "0",
		Active: b.Active, Events: b.Events,
	}
}

// model answers as GitHub documents it. A secret is never told again.
func model(prefix string) *forgetest.Model {
	m := forgetest.NewModel("Bearer " + forgetest.Token)
	root := prefix + "/repos/ana/shop"
	m.HandleFunc("GET "+root, func(w http.ResponseWriter, _ *http.Request) {
		forgetest.Say(w, 200, map[string]any{
			"id": 1, "full_name": "ana/shop", "default_branch": "main", "private": true,
			"clone_url": "https://github.com/ana/shop.git", "ssh_url": "git@github.com:ana/shop.git",
		})
	})
	m.HandleFunc("GET "+root+"/branches", func(w http.ResponseWriter, r *http.Request) {
		var all []map[string]any
		for _, name := range want.Protected {
			all = append(all, map[string]any{"name": name, "protected": true})
		}
		if r.URL.Query().Get("protected") != "true" {
			all = append(all, map[string]any{"name": "tax"})
		}
		forgetest.Say(w, 200, forgetest.Page(w, r, all))
	})
	handleHooks(m, root+"/hooks")
	handleKeys(m, root+"/keys")
	m.HandleFunc("POST "+root+"/statuses/{sha}", func(w http.ResponseWriter, r *http.Request) {
		b := forgetest.Hear[statusBody](r)
		if len([]rune(b.Description)) > 140 {
			forgetest.Say(w, 422, map[string]string{"message": "Validation Failed"})
			return
		}
		m.SetStatus(r.PathValue("sha"), forge.Status{Context: b.Context, State: forge.State(b.State), Description: b.Description, URL: b.TargetURL})
		forgetest.Say(w, 201, b)
	})
	return m
}

func handleHooks(m *forgetest.Model, root string) {
	m.HandleFunc("GET "+root, func(w http.ResponseWriter, r *http.Request) {
		var all []map[string]any
		for _, h := range m.Hooks {
			all = append(all, map[string]any{"id": h.ID, "name": "web", "config": map[string]string{"url": h.URL, "secret": "********"}})
		}
		forgetest.Say(w, 200, forgetest.Page(w, r, all))
	})
	m.HandleFunc("POST "+root, func(w http.ResponseWriter, r *http.Request) {
		b := forgetest.Hear[hookBody](r)
		for _, h := range m.Hooks {
			if h.URL == b.Config.URL {
				forgetest.Say(w, 422, map[string]string{"message": "Hook already exists on this repository"})
				return
			}
		}
		h := b.hook(m.NextID())
		m.Hooks = append(m.Hooks, h)
		forgetest.Say(w, 201, map[string]int{"id": h.ID})
	})
	m.HandleFunc("PATCH "+root+"/{id}", func(w http.ResponseWriter, r *http.Request) {
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
		var all []map[string]any
		for _, k := range m.Keys {
			all = append(all, map[string]any{"id": k.ID, "title": k.Title, "key": k.Text, "read_only": k.ReadOnly})
		}
		forgetest.Say(w, 200, forgetest.Page(w, r, all))
	})
	m.HandleFunc("POST "+root, func(w http.ResponseWriter, r *http.Request) {
		b := forgetest.Hear[keyBody](r)
		for _, k := range m.Keys {
			if forge.SameKey(k.Text, b.Key) {
				forgetest.Say(w, 422, map[string]string{"message": "key is already in use"})
				return
			}
		}
		var kind, data string
		fmt.Sscan(b.Key, &kind, &data) // GitHub keeps no comment
		m.Keys = append(m.Keys, forgetest.Key{ID: m.NextID(), Title: b.Title, Text: kind + " " + data, ReadOnly: b.ReadOnly})
		forgetest.Say(w, 201, map[string]int{})
	})
}

package bitbucket

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/towpath-cd/towpath/internal/forge"
	"github.com/towpath-cd/towpath/internal/forge/forgetest"
)

func suite(token, authorization string) forgetest.API {
	return forgetest.API{
		Kind: Kind(), New: func() *forgetest.Model { return model(authorization) }, Server: "https://bitbucket.org", Path: "ana/shop",
		Token: token, Want: want,
		Events: []string{
			"repo:push", "pullrequest:created", "pullrequest:updated", "pullrequest:push", "pullrequest:fulfilled", "pullrequest:rejected",
		},
	}
}

func TestAPIWithAnAccessToken(t *testing.T) {
	forgetest.Suite(t, suite(forgetest.Token, "Bearer "+forgetest.Token))
}

func TestAPIWithTheTokenOfAnAccount(t *testing.T) {
	forgetest.Suite(t, suite("ana@example.com:tok", "Basic YW5hQGV4YW1wbGUuY29tOnRvaw=="))
}

func TestAnotherServerIsNone(t *testing.T) {
	if _, err := open(forge.Where{Server: "https://bitbucket.example.com", Path: "ana/shop"}); err == nil {
		t.Error("it is taken for Bitbucket Cloud")
	}
}

func TestALongContextBecomesADigest(t *testing.T) {
	m := model("Bearer " + forgetest.Token)
	server := m.Start(t)
	api, err := open(forge.Where{
		Server: "https://bitbucket.org", Path: "ana/shop", Token: forgetest.Token, Client: &http.Client{Transport: forgetest.To(server)},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, context := range []string{strings.Repeat("x", 41), strings.Repeat("x", 42), strings.Repeat("x", 41)} {
		if err := api.SetStatus(t.Context(), forgetest.Revision, forge.Status{Context: context, State: forge.StateSuccess}); err != nil {
			t.Fatal(err)
		}
	}
	m.Seen(func(m *forgetest.Model) {
		if len(m.Statuses) != 2 {
			t.Errorf("the forge has %+v", m.Statuses)
		}
	})
}

var want = forge.Repository{
	Path: "ana/shop", DefaultBranch: "main", CloneHTTPS: "https://bitbucket.org/ana/shop.git",
	CloneSSH: "git@bitbucket.org:ana/shop.git", Private: true, Protected: []string{"main", "release/*", "hotfix/*"},
}

// The bodies of the calls, as https://developer.atlassian.com/cloud/bitbucket/rest/ has them.
type (
	hookBody struct {
		Description string   `json:"description"`
		URL         string   `json:"url"`
		Secret      string   `json:"secret"`
		Active      bool     `json:"active"`
		Events      []string `json:"events"`
		Unverified  *bool    `json:"skip_cert_verification"`
	}
	keyBody    struct{ Key, Label string }
	statusBody struct{ Key, Name, State, URL, Description string }
)

const root = "/2.0/repositories/ana/shop"

// model answers as Bitbucket Cloud documents it.
func model(authorization string) *forgetest.Model {
	m := forgetest.NewModel(authorization)
	m.HandleFunc("GET "+root, func(w http.ResponseWriter, _ *http.Request) {
		forgetest.Say(w, 200, map[string]any{
			"full_name": "ana/shop", "is_private": true, "mainbranch": map[string]string{"type": "branch", "name": "main"},
			"links": map[string]any{"clone": []map[string]string{
				{"name": "https", "href": "https://somebody@bitbucket.org/ana/shop.git"}, {"name": "ssh", "href": want.CloneSSH},
			}},
		})
	})
	m.HandleFunc("GET "+root+"/branch-restrictions", func(w http.ResponseWriter, r *http.Request) {
		all := []map[string]string{{"kind": "push", "branch_match_kind": "branching_model", "pattern": ""}}
		for _, glob := range want.Protected {
			all = append(all, map[string]string{"kind": r.URL.Query().Get("kind"), "branch_match_kind": "glob", "pattern": glob})
		}
		page(w, r, all)
	})
	handleHooks(m)
	handleKeys(m)
	m.HandleFunc("POST "+root+"/commit/{sha}/statuses/build", func(w http.ResponseWriter, r *http.Request) {
		b := forgetest.Hear[statusBody](r)
		words := map[string]forge.State{"INPROGRESS": forge.StatePending, "SUCCESSFUL": forge.StateSuccess, "FAILED": forge.StateFailure}
		if len(b.Key) > 40 || b.URL == "" || words[b.State] == "" {
			forgetest.Say(w, 400, map[string]string{"type": "error"})
			return
		}
		m.SetStatus(r.PathValue("sha"), forge.Status{Context: b.Key, State: words[b.State], Description: b.Description, URL: b.URL})
		forgetest.Say(w, 201, map[string]int{})
	})
	return m
}

// page says where the next page of a list is, in a form that only Bitbucket knows.
func page[T any](w http.ResponseWriter, r *http.Request, all []T) {
	start, _ := strconv.Atoi(strings.TrimPrefix(r.URL.Query().Get("ctx"), "opaque-"))
	part, next := forgetest.Slice(all, start)
	answer := map[string]any{"values": part, "pagelen": len(part)}
	if next > 0 {
		answer["next"] = fmt.Sprintf("https://%s%s?kind=push&ctx=opaque-%d", r.Host, r.URL.Path, next)
	}
	forgetest.Say(w, 200, answer)
}

// uuid is how Bitbucket names a webhook, with braces.
func uuid(id int) string { return fmt.Sprintf("{%08d-0000}", id) }

func idOf(r *http.Request) int {
	var id int
	fmt.Sscanf(r.PathValue("uuid"), "{%08d-0000}", &id)
	return id
}

func (b hookBody) hook(id int) forgetest.Hook {
	return forgetest.Hook{ID: id, URL: b.URL, Secret: b.Secret, JSON: b.Unverified != nil && !*b.Unverified, Active: b.Active, Events: b.Events}
}

func handleHooks(m *forgetest.Model) {
	m.HandleFunc("GET "+root+"/hooks", func(w http.ResponseWriter, r *http.Request) {
		var all []map[string]any
		for _, h := range m.Hooks {
			all = append(all, map[string]any{"uuid": uuid(h.ID), "url": h.URL, "secret_set": true})
		}
		page(w, r, all)
	})
	m.HandleFunc("POST "+root+"/hooks", func(w http.ResponseWriter, r *http.Request) {
		m.Hooks = append(m.Hooks, forgetest.Hear[hookBody](r).hook(m.NextID()))
		forgetest.Say(w, 201, map[string]int{})
	})
	m.HandleFunc("PUT "+root+"/hooks/{uuid}", func(w http.ResponseWriter, r *http.Request) {
		if !m.SetHook(forgetest.Hear[hookBody](r).hook(idOf(r))) {
			http.NotFound(w, r)
			return
		}
		forgetest.Say(w, 200, map[string]int{})
	})
	m.HandleFunc("DELETE "+root+"/hooks/{uuid}", func(w http.ResponseWriter, r *http.Request) { m.DeleteHook(w, idOf(r)) })
}

func handleKeys(m *forgetest.Model) {
	m.HandleFunc("GET "+root+"/deploy-keys", func(w http.ResponseWriter, r *http.Request) {
		var all []map[string]any
		for _, k := range m.Keys {
			all = append(all, map[string]any{"id": k.ID, "label": k.Title, "key": k.Text})
		}
		page(w, r, all)
	})
	m.HandleFunc("POST "+root+"/deploy-keys", func(w http.ResponseWriter, r *http.Request) {
		b := forgetest.Hear[keyBody](r)
		m.Keys = append(m.Keys, forgetest.Key{ID: m.NextID(), Title: b.Label, Text: b.Key, ReadOnly: true})
		forgetest.Say(w, 200, map[string]int{})
	})
}

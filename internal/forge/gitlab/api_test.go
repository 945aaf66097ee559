package gitlab

import (
	"net/http"
	"testing"

	"github.com/towpath-cd/towpath/internal/forge"
	"github.com/towpath-cd/towpath/internal/forge/forgetest"
)

func TestAPI(t *testing.T) {
	forgetest.Suite(t, forgetest.API{
		Kind: Kind(), New: model, Path: "ana/shop", Want: want,
		Events: []string{"push", "tag_push", "merge_requests", "verified"},
	})
}

func TestASigningTokenIsSet(t *testing.T) {
	m := model()
	server := m.Start(t)
	api, err := open(forge.Where{Server: server.URL, Path: "ana/shop", Token: forgetest.Token})
	if err != nil {
		t.Fatal(err)
	}
	if err := api.SetWebhook(t.Context(), "https://towpath.example.com/hooks/shop", key); err != nil {
		t.Fatal(err)
	}
	m.Seen(func(m *forgetest.Model) {
		if len(m.Hooks) != 1 || m.Hooks[0].Secret != "signing with "+key {
			t.Errorf("the forge has %+v", m.Hooks)
		}
	})
}

// TestAStatusThatDoesNotMove is of a commit whose status is another one than the one that is refused: running, set by somebody.
func TestAStatusThatDoesNotMove(t *testing.T) {
	m := model()
	m.Statuses = []forge.Status{{Context: forgetest.Revision + " towpath/shop", State: "running"}}
	server := m.Start(t)
	api, err := open(forge.Where{Server: server.URL, Path: "ana/shop", Token: forgetest.Token})
	if err != nil {
		t.Fatal(err)
	}
	if err := api.SetStatus(t.Context(), forgetest.Revision, forge.Status{Context: "towpath/shop", State: forge.StatePending}); err == nil {
		t.Error("it is taken for set")
	}
}

var want = forge.Repository{
	Path: "ana/shop", DefaultBranch: "main", CloneHTTPS: "https://gitlab.example.com/ana/shop.git",
	CloneSSH: "git@gitlab.example.com:ana/shop.git", Private: true, Protected: []string{"main", "release/*", "v*"},
}

// The bodies of the calls, as https://docs.gitlab.com/api/ has them.
type (
	hookBody struct {
		URL          string `json:"url"`
		Token        string `json:"token"`
		SigningToken string `json:"signing_token"`
		Push         bool   `json:"push_events"`
		TagPush      bool   `json:"tag_push_events"`
		Merge        bool   `json:"merge_requests_events"`
		Verified     bool   `json:"enable_ssl_verification"`
	}
	keyBody struct {
		Title   string `json:"title"`
		Key     string `json:"key"`
		CanPush bool   `json:"can_push"`
	}
	statusBody struct {
		State       string `json:"state"`
		Name        string `json:"name"`
		TargetURL   string `json:"target_url"`
		Description string `json:"description"`
	}
)

func (b hookBody) hook(id int) forgetest.Hook {
	h := forgetest.Hook{ID: id, URL: b.URL, Secret: b.Token, JSON: true, Active: true}
	if b.SigningToken != "" {
		h.Secret = "signing with " + b.SigningToken
	}
	for _, event := range []struct {
		name string
		is   bool
	}{{"push", b.Push}, {"tag_push", b.TagPush}, {"merge_requests", b.Merge}, {"verified", b.Verified}} {
		if event.is {
			h.Events = append(h.Events, event.name)
		}
	}
	return h
}

// model answers as GitLab documents it.
func model() *forgetest.Model {
	m := forgetest.NewModel("Bearer " + forgetest.Token)
	m.HandleFunc("GET /api/v4/projects/{project}", ofShop(func(w http.ResponseWriter, _ *http.Request) {
		forgetest.Say(w, 200, map[string]any{
			"id": 15, "path_with_namespace": "ana/shop", "default_branch": "main", "visibility": "internal",
			"http_url_to_repo": want.CloneHTTPS, "ssh_url_to_repo": want.CloneSSH,
		})
	}))
	m.HandleFunc("GET /api/v4/projects/{project}/protected_branches", ofShop(func(w http.ResponseWriter, r *http.Request) {
		var all []map[string]string
		for _, name := range want.Protected {
			all = append(all, map[string]string{"name": name})
		}
		forgetest.Say(w, 200, forgetest.Page(w, r, all))
	}))
	handleHooks(m, "/api/v4/projects/{project}/hooks")
	handleKeys(m, "/api/v4/projects/{project}/deploy_keys")
	handleStatuses(m)
	return m
}

// ofShop answers for the one project that there is.
func ofShop(handle http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.PathValue("project") != "ana/shop" {
			forgetest.Say(w, 404, map[string]string{"message": "404 Project Not Found"})
			return
		}
		handle(w, r)
	}
}

func handleHooks(m *forgetest.Model, path string) {
	m.HandleFunc("GET "+path, ofShop(func(w http.ResponseWriter, r *http.Request) {
		var all []map[string]any
		for _, h := range m.Hooks {
			all = append(all, map[string]any{"id": h.ID, "url": h.URL, "token_present": true})
		}
		forgetest.Say(w, 200, forgetest.Page(w, r, all))
	}))
	m.HandleFunc("POST "+path, ofShop(func(w http.ResponseWriter, r *http.Request) {
		m.Hooks = append(m.Hooks, forgetest.Hear[hookBody](r).hook(m.NextID()))
		forgetest.Say(w, 201, map[string]int{})
	}))
	m.HandleFunc("PUT "+path+"/{id}", ofShop(func(w http.ResponseWriter, r *http.Request) {
		if !m.SetHook(forgetest.Hear[hookBody](r).hook(forgetest.Number(r, "id"))) {
			http.NotFound(w, r)
			return
		}
		forgetest.Say(w, 200, map[string]int{})
	}))
	m.HandleFunc("DELETE "+path+"/{id}", ofShop(func(w http.ResponseWriter, r *http.Request) { m.DeleteHook(w, forgetest.Number(r, "id")) }))
}

func handleKeys(m *forgetest.Model, path string) {
	m.HandleFunc("GET "+path, ofShop(func(w http.ResponseWriter, r *http.Request) {
		var all []map[string]any
		for _, k := range m.Keys {
			all = append(all, map[string]any{"id": k.ID, "title": k.Title, "key": k.Text, "can_push": !k.ReadOnly})
		}
		forgetest.Say(w, 200, forgetest.Page(w, r, all))
	}))
	m.HandleFunc("POST "+path, ofShop(func(w http.ResponseWriter, r *http.Request) {
		b := forgetest.Hear[keyBody](r)
		m.Keys = append(m.Keys, forgetest.Key{ID: m.NextID(), Title: b.Title, Text: b.Key, ReadOnly: !b.CanPush})
		forgetest.Say(w, 201, map[string]int{})
	}))
}

// handleStatuses knows GitLab's rule that a status moves from one to another: never from pending to pending.
func handleStatuses(m *forgetest.Model) {
	find := func(context string) forge.State {
		for _, s := range m.Statuses {
			if s.Context == context {
				return s.State
			}
		}
		return ""
	}
	m.HandleFunc("POST /api/v4/projects/{project}/statuses/{sha}", ofShop(func(w http.ResponseWriter, r *http.Request) {
		b := forgetest.Hear[statusBody](r)
		words := map[string]forge.State{"pending": forge.StatePending, "success": forge.StateSuccess, "failed": forge.StateFailure}
		is := find(r.PathValue("sha") + " " + b.Name)
		if b.State == "pending" && (is == forge.StatePending || is == "running") {
			forgetest.Say(w, 400, map[string]string{
				"message": `Cannot transition status via :enqueue from :` + string(is) + ` (Reason(s): Status cannot transition via "enqueue")`,
			})
			return
		}
		m.SetStatus(r.PathValue("sha"), forge.Status{Context: b.Name, State: words[b.State], Description: b.Description, URL: b.TargetURL})
		forgetest.Say(w, 201, map[string]int{})
	}))
	m.HandleFunc("GET /api/v4/projects/{project}/repository/commits/{sha}/statuses", ofShop(func(w http.ResponseWriter, r *http.Request) {
		name := r.URL.Query().Get("name")
		forgetest.Say(w, 200, []map[string]string{{"name": name, "status": string(find(r.PathValue("sha") + " " + name))}})
	}))
}

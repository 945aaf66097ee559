package forgetest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/towpath-cd/towpath/internal/forge"
)

// What the suite sets.
const (
	Revision = "0d1a26e67d8f5eaf1f6ba5c57fc3c7d91ac0fd1c"
	hookURL  = "https://towpath.example.com/hooks/shop"
	keyLine  = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGtleQ towpath"
)

// API is one kind's API with a model of its forge.
type API struct {
	Kind   forge.Kind
	New    func() *Model // handlers registered, nothing stored
	Server string        // address of the public forge whose API the model stands for; empty: the model's own
	Path   string        // of the repository
	Token  string        // empty: Token
	Want   forge.Repository
	Events []string // of a webhook
	// Hosted is Want of a model at an address of its own: it has the address in it.
	Hosted func(server string) forge.Repository
}

// Suite holds an API to what all of them promise.
func Suite(t *testing.T, a API) {
	if a.Token == "" {
		a.Token = Token
	}
	for name, test := range map[string]func(*testing.T, API){
		"repository": testRepository, "keys": testKeys, "webhooks": testWebhooks, "webhooks at once": testWebhooksAtOnce,
		"statuses": testStatuses, "refusals": testRefusals, "busy": testBusy, "gone": testGone, "elsewhere": testElsewhere,
		"moved": testMoved, "slow": testSlow, "cancelled": testCancelled,
	} {
		t.Run(name, func(t *testing.T) { t.Parallel(); test(t, a) })
	}
}

// open answers the API of a model, and the model's address.
func (a API) open(t *testing.T, server *httptest.Server) forge.API {
	t.Helper()
	return a.openWith(t, server, a.Token, server.Client())
}

func (a API) openWith(t *testing.T, server *httptest.Server, token string, client *http.Client) forge.API {
	t.Helper()
	where := forge.Where{Server: server.URL, Path: a.Path, Token: token, Client: client}
	if a.Server != "" {
		where.Server = a.Server
		where.Client = &http.Client{Transport: To(server), Timeout: client.Timeout}
	}
	api, err := a.Kind.Open(where)
	if err != nil {
		t.Fatal(err)
	}
	return api
}

// To is a transport that reaches a server whichever host is asked for.
func To(server *httptest.Server) http.RoundTripper {
	return transport(func(r *http.Request) (*http.Response, error) {
		r = r.Clone(r.Context())
		r.Host = r.URL.Host
		r.URL.Scheme, r.URL.Host = "http", server.Listener.Addr().String()
		return http.DefaultTransport.RoundTrip(r)
	})
}

type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func testRepository(t *testing.T, a API) {
	model := a.New()
	server := model.Start(t)
	want := a.Want
	if a.Hosted != nil {
		want = a.Hosted(server.URL)
	}
	got, err := a.open(t, server).Repository(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func testKeys(t *testing.T, a API) {
	model := a.New()
	for i := range 5 {
		model.Keys = append(model.Keys, Key{ID: model.NextID(), Title: "another's", Text: fmt.Sprintf("ssh-ed25519 AAAA%d", i)})
	}
	api := a.open(t, model.Start(t))
	for _, line := range []string{keyLine, keyLine, strings.TrimSuffix(keyLine, " towpath") + " of another name\n"} {
		if err := api.AddDeployKey(t.Context(), "Towpath", line); err != nil {
			t.Fatal(err)
		}
	}
	model.Seen(func(m *Model) {
		if len(m.Keys) != 6 || !m.Keys[5].ReadOnly || m.Keys[5].Title != "Towpath" || !forge.SameKey(m.Keys[5].Text, keyLine) {
			t.Errorf("the forge has the keys %+v", m.Keys)
		}
	})
}

func testWebhooks(t *testing.T, a API) {
	model := a.New()
	for i := range 5 {
		model.Hooks = append(model.Hooks, Hook{ID: model.NextID(), URL: fmt.Sprintf("%s-%d", hookURL, i), Secret: "another's"})
	}
	api := a.open(t, model.Start(t))
	others := func() []Hook { return append([]Hook{}, model.Hooks[:5]...) }()
	set := func(secret string) {
		t.Helper()
		if err := api.SetWebhook(t.Context(), hookURL, secret); err != nil {
			t.Fatal(err)
		}
		model.Seen(func(m *Model) { oneOfOurs(t, m.Hooks, others, secret, a.Events) })
	}
	set("one-secret")
	set("another-secret")
	model.Seen(func(m *Model) {
		m.Hooks = append(m.Hooks, Hook{ID: m.NextID(), URL: hookURL, Secret: "old", Active: false}, Hook{ID: m.NextID(), URL: hookURL + "/"})
	})
	set("a-third-secret")
	for range 2 {
		if err := api.RemoveWebhook(t.Context(), hookURL); err != nil {
			t.Fatal(err)
		}
	}
	model.Seen(func(m *Model) {
		if diff := cmp.Diff(others, m.Hooks); diff != "" {
			t.Errorf("what others had: %s", diff)
		}
	})
}

// oneOfOurs holds that a forge has one webhook of ours, as it should be, and all of the others'.
func oneOfOurs(t *testing.T, hooks, others []Hook, secret string, events []string) {
	t.Helper()
	if len(hooks) != len(others)+1 {
		t.Fatalf("the forge has the webhooks %+v", hooks)
	}
	ours := hooks[len(others)]
	want := Hook{ID: ours.ID, URL: hookURL, Secret: secret, JSON: true, Active: true, Events: events}
	if diff := cmp.Diff(append(slices.Clip(others), want), hooks); diff != "" {
		t.Error(diff)
	}
}

func testWebhooksAtOnce(t *testing.T, a API) {
	model := a.New()
	api := a.open(t, model.Start(t))
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if err := api.SetWebhook(t.Context(), hookURL, "secret"); err != nil {
				t.Error(err)
			}
			if err := api.AddDeployKey(t.Context(), "Towpath", keyLine); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	model.Seen(func(m *Model) {
		if len(m.Hooks) != 1 || len(m.Keys) != 1 {
			t.Errorf("the forge has %d webhooks and %d keys", len(m.Hooks), len(m.Keys))
		}
	})
}

func testStatuses(t *testing.T, a API) {
	model := a.New()
	api := a.open(t, model.Start(t))
	status := forge.Status{Context: "towpath/shop", Description: "run 7", URL: "https://towpath.example.com/runs/7"}
	for _, c := range []struct{ set, shown forge.State }{
		{forge.StatePending, forge.StatePending},
		{forge.StatePending, forge.StatePending},
		{forge.StateSuccess, forge.StateSuccess},
		{forge.StatePending, forge.StatePending},
		{forge.StateFailure, forge.StateFailure},
		{forge.StateSkipped, forge.StateSuccess},
	} {
		status.State = c.set
		if err := api.SetStatus(t.Context(), Revision, status); err != nil {
			t.Fatalf("%s: %v", c.set, err)
		}
		want := status
		want.State, want.Context = c.shown, Revision+" towpath/shop"
		model.Seen(func(m *Model) {
			if diff := cmp.Diff([]forge.Status{want}, m.Statuses); diff != "" {
				t.Errorf("%s: %s", c.set, diff)
			}
		})
	}
	status.Context, status.Description, status.URL = "towpath/other", strings.Repeat("ü\n", 500), ""
	if err := api.SetStatus(t.Context(), Revision, status); err != nil {
		t.Error(err)
	}
	model.Seen(func(m *Model) {
		if len(m.Statuses) != 2 || strings.Contains(m.Statuses[1].Description, "\n") || len([]rune(m.Statuses[1].Description)) > 255 {
			t.Errorf("the forge has %+v", m.Statuses)
		}
	})
	for revision, state := range map[string]forge.State{"main": forge.StateSuccess, Revision[:12]: forge.StateSuccess, Revision: "done"} {
		if err := api.SetStatus(t.Context(), revision, forge.Status{State: state}); err == nil {
			t.Errorf("%s is set on %s", state, revision)
		}
	}
}

// calls are all calls of an API, by name.
func calls(ctx context.Context, api forge.API) map[string]error {
	_, err := api.Repository(ctx)
	return map[string]error{
		"Repository":    err,
		"AddDeployKey":  api.AddDeployKey(ctx, "Towpath", keyLine),
		"SetWebhook":    api.SetWebhook(ctx, hookURL, Secret),
		"RemoveWebhook": api.RemoveWebhook(ctx, hookURL),
		"SetStatus":     api.SetStatus(ctx, Revision, forge.Status{Context: "towpath/shop", State: forge.StateSuccess, URL: hookURL}),
	}
}

// refusedBy holds that every call fails for a reason, and shows neither the token nor the secret of the webhook.
func refusedBy(t *testing.T, api forge.API, want error, token string) {
	t.Helper()
	for name, err := range calls(t.Context(), api) {
		if !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", name, err, want)
		}
		if err != nil && (strings.Contains(err.Error(), token) || strings.Contains(err.Error(), Secret) || len(err.Error()) > 600) {
			t.Errorf("%s says too much: %v", name, err)
		}
	}
}

func testRefusals(t *testing.T, a API) {
	model := a.New()
	server := model.Start(t)
	refusedBy(t, a.openWith(t, server, "a-bad-token", server.Client()), forge.ErrDenied, "a-bad-token")
	model.Seen(func(m *Model) {
		if m.Refused == 0 || len(m.Hooks)+len(m.Keys)+len(m.Statuses) > 0 {
			t.Errorf("with a bad token the forge has %+v, %+v, %+v", m.Hooks, m.Keys, m.Statuses)
		}
	})
	echo := fmt.Sprintf(`{"message":"%s %s"}`, strings.Repeat("no ", 10)+a.Token, strings.Repeat("x", 5000))
	for status, want := range map[int]error{403: forge.ErrDenied, 401: forge.ErrDenied, 404: forge.ErrNotFound, 410: forge.ErrNotFound} {
		model.Seen(func(m *Model) { m.Failing = &Failure{Status: status, Body: echo} })
		refusedBy(t, a.open(t, server), want, a.Token)
	}
	model.Seen(func(m *Model) {
		m.Failing = &Failure{Status: 422, Body: `{"message":"the secret ` + Secret + ` is too short"}`, Writing: true}
	})
	if err := a.open(t, server).SetWebhook(t.Context(), hookURL, Secret); err == nil || strings.Contains(err.Error(), Secret) ||
		!strings.Contains(err.Error(), "is too short") {
		t.Errorf("of a webhook that is refused: %v", err)
	}
	other := a
	other.Path = strings.Replace(a.Path, "shop", "none", 1)
	model.Seen(func(m *Model) { m.Failing = nil })
	if _, err := other.open(t, server).Repository(t.Context()); !errors.Is(err, forge.ErrNotFound) {
		t.Errorf("of another repository: %v", err)
	}
}

func testBusy(t *testing.T, a API) {
	model := a.New()
	server := model.Start(t)
	for status, header := range map[int]http.Header{
		429: {"Retry-After": {"7"}}, 503: {"Retry-After": {"7"}}, 500: {}, 502: {},
		403: {"X-Ratelimit-Remaining": {"0"}, "X-Ratelimit-Reset": {"1763890007"}, "Date": {time.Unix(1763890000, 0).UTC().Format(http.TimeFormat)}},
	} {
		model.Seen(func(m *Model) {
			m.Failing = &Failure{Status: status, Header: header, Body: `{"message":"slow down ` + a.Token + `"}`}
		})
		api := a.open(t, server)
		refusedBy(t, api, forge.ErrBusy, a.Token)
		var want time.Duration
		if len(header) > 0 {
			want = 7 * time.Second
		}
		_, err := api.Repository(t.Context())
		if busy, is := errors.AsType[*forge.Busy](err); !is || busy.After != want {
			t.Errorf("%d: %#v, want one that waits %s", status, err, want)
		}
	}
}

func testGone(t *testing.T, a API) {
	server := a.New().Start(t)
	api := a.open(t, server)
	server.Close()
	refusedBy(t, api, forge.ErrBusy, a.Token)
}

// testElsewhere holds that no token goes to where a forge, or whoever stands in its place, sends us.
func testElsewhere(t *testing.T, a API) {
	var mutex sync.Mutex
	var heard []string
	stranger := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		mutex.Lock()
		defer mutex.Unlock()
		heard = append(heard, r.Method+" "+r.URL.Path+" "+r.Header.Get("Authorization"))
	}))
	t.Cleanup(stranger.Close)
	for _, status := range []int{301, 302, 307, 308} {
		server := httptest.NewServer(http.RedirectHandler(stranger.URL+"/api", status))
		t.Cleanup(server.Close)
		for name, err := range calls(t.Context(), a.open(t, server)) {
			if err == nil || strings.Contains(err.Error(), a.Token) {
				t.Errorf("%s is sent elsewhere by %d: %v", name, status, err)
			}
		}
	}
	mutex.Lock()
	defer mutex.Unlock()
	if len(heard) > 0 {
		t.Errorf("another host was called: %q", heard)
	}
}

// testMoved holds that a redirect on the same host is followed where the call stays what it was, and is a refusal where it
// would become one that reads.
func testMoved(t *testing.T, a API) {
	for status, want := range map[int]int{http.StatusFound: 0, http.StatusTemporaryRedirect: 1} {
		model := a.New()
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method != http.MethodGet && r.URL.Query().Get("moved") == "" {
				http.Redirect(w, r, r.URL.EscapedPath()+"?moved=1", status)
				return
			}
			model.ServeHTTP(w, r)
		}))
		t.Cleanup(server.Close)
		api := a.open(t, server)
		hookErr, keyErr := api.SetWebhook(t.Context(), hookURL, Secret), api.AddDeployKey(t.Context(), "Towpath", keyLine)
		if (hookErr == nil) != (want == 1) || (keyErr == nil) != (want == 1) {
			t.Errorf("%d: %v, %v", status, hookErr, keyErr)
		}
		model.Seen(func(m *Model) {
			if len(m.Hooks) != want || len(m.Keys) != want {
				t.Errorf("%d: the forge has %d webhooks and %d keys", status, len(m.Hooks), len(m.Keys))
			}
		})
	}
}

func testSlow(t *testing.T, a API) {
	ended := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-ended }))
	t.Cleanup(server.Close)
	t.Cleanup(func() { close(ended) })
	api := a.openWith(t, server, a.Token, &http.Client{Timeout: 20 * time.Millisecond})
	refusedBy(t, api, forge.ErrBusy, a.Token)
}

func testCancelled(t *testing.T, a API) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for name, err := range calls(ctx, a.open(t, a.New().Start(t))) {
		if !errors.Is(err, context.Canceled) || errors.Is(err, forge.ErrBusy) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

package access_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/access"
	"github.com/towpath-cd/towpath/internal/store"
	"github.com/towpath-cd/towpath/internal/store/storetest"
)

// house is a server's front door: a guard over a real store, with two projects ("mine" with the pipeline "shop",
// "theirs" with the pipeline "jobs"), and a clock that stands.
type house struct {
	*testing.T
	path  string
	store *store.Store
	guard *access.Guard
	now   time.Time
	owner string
}

func newHouse(t *testing.T) *house {
	t.Helper()
	h := &house{T: t, now: time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC), path: filepath.Join(t.TempDir(), "towpath.db")}
	h.store = storetest.Open(t, h.path)
	var err error
	if h.owner, err = access.OwnerToken(t.TempDir()); err != nil {
		t.Fatal(err)
	}
	h.guard = access.NewGuard(access.Options{Store: h.store, Owner: h.owner, Now: func() time.Time { return h.now }})
	h.update(func(tx *store.Tx) error {
		return errors.Join(
			tx.CreateProject(towpath.Project{ID: "p1", Name: "mine"}), tx.ClaimPipeline("shop", "p1"),
			tx.CreateProject(towpath.Project{ID: "p2", Name: "theirs"}), tx.ClaimPipeline("jobs", "p2"))
	})
	return h
}

func (h *house) update(fn func(*store.Tx) error) {
	h.Helper()
	if err := h.store.Update(h.Context(), fn); err != nil {
		h.Fatal(err)
	}
}

// link makes an account, and answers its one-time link.
func (h *house) link(p access.Person) (code string) {
	h.Helper()
	h.update(func(tx *store.Tx) (err error) {
		code, err = access.PutAccount(tx, p, h.now)
		return err
	})
	return code
}

// token makes an account with a role in "mine", and answers a token of it.
func (h *house) token(name string, role access.Role) string {
	h.Helper()
	p := access.Person{Name: name}
	if role != "" {
		p.Roles = map[string]access.Role{"mine": role}
	}
	return h.exchange(h.link(p))
}

func (h *house) exchange(code string) string {
	h.Helper()
	token, _, err := h.guard.TokenByLink(h.Context(), code, "laptop")
	if err != nil {
		h.Fatal(err)
	}
	return token
}

// worker registers a worker, and answers its key.
func (h *house) worker(name string) string {
	h.Helper()
	token, _, err := h.guard.NewRegistration(h.Context(), "owner")
	if err != nil {
		h.Fatal(err)
	}
	key, err := h.guard.RegisterWorker(h.Context(), token, towpath.Worker{ID: name, Name: name, OS: "linux", Arch: "amd64"})
	if err != nil {
		h.Fatal(err)
	}
	return key
}

// bearer is a request that shows a credential; "" shows none.
func bearer(credential string) *http.Request {
	r := httptest.NewRequest("GET", "/", nil)
	if credential != "" {
		r.Header.Set("Authorization", "Bearer "+credential)
	}
	return r
}

// admit asks for a route by method and pattern, with the path values of "mine".
func (h *house) admit(route, credential string) (access.Caller, error) {
	h.Helper()
	r := bearer(credential)
	r.SetPathValue("project", "mine")
	r.SetPathValue("pipeline", "shop")
	return h.guard.Admit(r, routeNamed(h.T, route))
}

func (h *house) caller(credential string) access.Caller {
	h.Helper()
	c, err := h.admit("GET /api/v1/me", credential)
	if err != nil {
		h.Fatal(err)
	}
	return c
}

func routeNamed(t *testing.T, name string) access.Route {
	t.Helper()
	for _, route := range access.Routes {
		if route.String() == name {
			return route
		}
	}
	t.Fatalf("there is no route %s", name)
	return access.Route{}
}

// wantCode fails unless err has the code; "" is no error.
func wantCode(t *testing.T, what string, err error, code towpath.Code) {
	t.Helper()
	switch {
	case err == nil && code == "":
	case err == nil || towpath.CodeOf(err) != code:
		t.Errorf("%s: %v, wanted %q", what, err, code)
	}
}

package access_test

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/access"
)

// allowed is what each role may, written out once more by hand: a change of the roles has to be made twice.
var allowed = map[access.Role][]access.Permission{
	"":                  {},
	access.RoleViewer:   {"project.read"},
	access.RoleRunner:   {"project.read", "run.start", "run.cancel"},
	access.RoleApprover: {"project.read", "approve"},
	access.RoleDeployer: {"project.read", "run.start", "run.cancel", "deploy", "rollback", "promote"},
	access.RoleMaintainer: {
		"project.read", "run.start", "run.cancel", "approve", "deploy", "rollback", "promote", "environment.manage",
		"project.manage", "secret.write", "fork.allow", "shell.open",
	},
}

// TestEveryRouteAsEveryRole asks for each route through net/http's own mux, as each role in "mine", once on "mine" and
// once on "theirs".
func TestEveryRouteAsEveryRole(t *testing.T) {
	h := newHouse(t)
	mux := h.mux()
	for role, permissions := range allowed {
		token := h.token("person-"+string(role)+"x", role)
		for _, route := range access.Routes {
			want, elsewhere := statusFor(route, permissions)
			h.ask(mux, route, "mine", token, want)
			h.ask(mux, route, "theirs", token, elsewhere)
		}
	}
}

// statusFor answers what somebody with the permissions in "mine" gets there, and on "theirs".
func statusFor(route access.Route, permissions []access.Permission) (mine, theirs towpath.Code) {
	switch {
	case route.Needs == access.Public || route.Needs == access.SignedIn:
		return "", ""
	case route.Project == access.NoProject:
		return towpath.CodeForbidden, towpath.CodeForbidden
	case len(permissions) == 0:
		return towpath.CodeNotFound, towpath.CodeNotFound
	case slices.Contains(permissions, route.Needs):
		return "", towpath.CodeNotFound
	}
	return towpath.CodeForbidden, towpath.CodeNotFound
}

func TestAnAdministratorAndTheOwnerMayDoEverythingButAWorkersCalls(t *testing.T) {
	h := newHouse(t)
	mux := h.mux()
	for _, credential := range []string{h.owner, h.exchange(h.link(access.Person{Name: "root", Administrator: true}))} {
		for _, route := range access.Routes {
			want := towpath.Code("")
			if route.Needs == access.AsWorker {
				want = towpath.CodeForbidden
			}
			h.ask(mux, route, "mine", credential, want)
			h.ask(mux, route, "theirs", credential, want)
		}
	}
}

func TestAWorkersKeyIsForItsOwnCallsOnly(t *testing.T) {
	h := newHouse(t)
	mux, key := h.mux(), h.worker("north-1")
	for _, route := range access.Routes {
		want := towpath.CodeForbidden
		if route.Needs == access.AsWorker || route.Needs == access.Public {
			want = ""
		}
		h.ask(mux, route, "mine", key, want)
	}
}

func TestWhoeverShowsNothingOrNonsenseSeesPublicRoutesOnly(t *testing.T) {
	h := newHouse(t)
	mux := h.mux()
	for _, credential := range []string{"", "nonsense", "twp_nonsense", "tww_nonsense", "two_nonsense"} {
		for _, route := range access.Routes {
			want := towpath.CodeUnauthorized
			if route.Needs == access.Public {
				want = ""
			}
			h.ask(mux, route, "mine", credential, want)
		}
	}
}

func TestAHiddenProjectAndOneThatDoesNotExistCannotBeToldApart(t *testing.T) {
	h := newHouse(t)
	token := h.token("ada", access.RoleMaintainer)
	for _, kind := range []access.Route{
		routeNamed(t, "DELETE /api/v1/projects/{project}"),
		routeNamed(t, "POST /api/v1/environments/{pipeline}/{environment}/rollback"),
	} {
		answer := func(name string) string {
			r := bearer(token)
			r.SetPathValue(string(kind.Project), name)
			_, err := h.guard.Admit(r, kind)
			return strings.ReplaceAll(err.Error(), name, "NAME")
		}
		hidden := map[access.ProjectFrom]string{access.FromProject: "theirs", access.FromPipeline: "jobs"}[kind.Project]
		if a, b := answer(hidden), answer("nobodys"); a != b {
			t.Errorf("%s: %q and %q", kind, a, b)
		}
	}
}

func TestEveryRouteIsInTheTableOnceAndNeedsSomethingThatExists(t *testing.T) {
	known := slices.Concat(access.ProjectPermissions, access.ServerPermissions,
		[]access.Permission{access.Public, access.SignedIn, access.AsWorker})
	seen := map[string]bool{}
	for _, route := range access.Routes {
		inProject := slices.Contains(access.ProjectPermissions, route.Needs)
		switch {
		case seen[route.String()]:
			t.Errorf("%s is in the table twice", route)
		case !slices.Contains(known, route.Needs):
			t.Errorf("%s needs %q, which does not exist", route, route.Needs)
		case inProject != (route.Project != access.NoProject):
			t.Errorf("%s needs %s, and finds its project from %q", route, route.Needs, route.Project)
		case inProject && !strings.Contains(route.Pattern, "{"+string(route.Project)+"}"):
			t.Errorf("%s has no {%s}", route, route.Project)
		}
		seen[route.String()] = true
	}
}

func TestARequestFromAnotherSitesPageChangesNothing(t *testing.T) {
	h := newHouse(t)
	session, err := h.guard.SignInByLink(t.Context(), h.link(access.Person{Name: "ada", Administrator: true}))
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest("POST", "/environments/shop/production/rollback", nil)
	r.AddCookie(session.Cookie(true))
	r.SetPathValue("pipeline", "shop")
	route := routeNamed(t, "POST /environments/{pipeline}/{environment}/rollback")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	_, err = h.guard.Admit(r, route)
	wantCode(t, "from our own page", err, "")
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	_, err = h.guard.Admit(r, route)
	wantCode(t, "from another site's page", err, towpath.CodeForbidden)
}

// mux serves every route of the table as the server does: a handler is reached only through Admit.
func (h *house) mux() *http.ServeMux {
	mux := http.NewServeMux()
	for _, route := range access.Routes {
		mux.HandleFunc(route.String(), func(w http.ResponseWriter, r *http.Request) {
			if _, err := h.guard.Admit(r, route); err != nil {
				w.Header().Set("Code", string(towpath.CodeOf(err)))
			}
			w.Header().Set("Route", route.String())
		})
	}
	return mux
}

// ask makes a request of a route on a project, and fails unless the answer has the code.
func (h *house) ask(mux *http.ServeMux, route access.Route, project, credential string, want towpath.Code) {
	h.Helper()
	pipeline := map[string]string{"mine": "shop", "theirs": "jobs"}[project]
	path := strings.NewReplacer("{project}", project, "{pipeline}", pipeline, "{$}", "", "{", "", "}", "", "...", "").
		Replace(route.Pattern)
	r := httptest.NewRequest(route.Method, path, nil)
	if credential != "" {
		r.Header.Set("Authorization", "Bearer "+credential)
	}
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, r)
	if got := w.Header().Get("Route"); got != route.String() {
		h.Errorf("%s %s was served by %q", route.Method, path, got)
	}
	if got := towpath.Code(w.Header().Get("Code")); got != want {
		h.Errorf("%s on %s: %q, wanted %q", route, project, got, want)
	}
}

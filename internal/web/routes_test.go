package web_test

import (
	"context"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/towpath-cd/towpath/client"
	"github.com/towpath-cd/towpath/internal/access"
)

// The kinds of callers. All but the last three are accounts with that role in the project "mine" and none in "theirs".
var everybody = []string{
	"stranger", "viewer", "runner", "approver", "deployer", "maintainer", "administrator", // by an account's token
	"nobody", // shows nothing
	"worker", // shows a worker's key
	"scoped", // shows a token of a maintainer that may only start runs, and only in "mine"
}

// who says which of them may use a kind of route on their own project; on another's, only who stands in elsewhere.
var who = map[string][]string{
	"anyone":    everybody,
	"signed in": {"stranger", "viewer", "runner", "approver", "deployer", "maintainer", "administrator", "scoped"},
	"read":      {"viewer", "runner", "approver", "deployer", "maintainer", "administrator"},
	"start":     {"runner", "deployer", "maintainer", "administrator", "scoped"},
	"cancel":    {"runner", "deployer", "maintainer", "administrator"},
	"approve":   {"approver", "maintainer", "administrator"},
	"deploy":    {"deployer", "maintainer", "administrator"},
	"manage":    {"maintainer", "administrator"},
	"server":    {"administrator"},
	"worker":    {"worker"},
}

var elsewhere = []string{"administrator"}

// table is every route of the server and its kind, written out here by hand: a route that comes or changes has to be
// written down twice.
var table = map[string][]string{
	"anyone": {
		"GET /healthz", "GET /api/v1/openapi.json", "POST /api/v1/login", "POST /api/v1/worker/register",
		"GET /static/{file...}", "GET /login", "POST /login", "POST /hooks/{project}",
	},
	"signed in": {
		"POST /api/v1/logout", "GET /api/v1/me", "PUT /api/v1/me/password",
		"GET /api/v1/tokens", "POST /api/v1/tokens", "DELETE /api/v1/tokens/{name}",
		"GET /api/v1/projects", "GET /api/v1/runs", "GET /api/v1/approvals", "GET /api/v1/environments", "GET /api/v1/board", "GET /api/v1/freezes",
		"POST /logout", "GET /password", "POST /password", "GET /{$}", "GET /approvals", "GET /environments", "GET /environments/events", "GET /projects",
	},
	"read": {
		"GET /api/v1/projects/{project}", "GET /api/v1/projects/{project}/files", "GET /api/v1/projects/{project}/changes", "GET /api/v1/projects/{project}/deliveries", "GET /projects/{project}",
		"GET /api/v1/projects/{project}/cache", "GET /api/v1/pipelines/{pipeline}/runs/{number}/tests",
		"GET /api/v1/pipelines/{pipeline}/runs/{number}", "GET /api/v1/pipelines/{pipeline}/runs/{number}/events",
		"GET /api/v1/pipelines/{pipeline}/runs/{number}/steps/{step}/log",
		"GET /api/v1/pipelines/{pipeline}/runs/{number}/steps/{step}/log/lines",
		"GET /api/v1/pipelines/{pipeline}/runs/{number}/steps/{step}/log/search",
		"GET /api/v1/pipelines/{pipeline}/runs/{number}/approvals/{step}",
		"GET /api/v1/environments/{pipeline}/{environment}/deployments/{id}", "GET /environments/{pipeline}/{environment}/deployments/{id}",
		"GET /api/v1/environments/{pipeline}/{environment}", "GET /api/v1/environments/{pipeline}/{environment}/events",
		"GET /api/v1/environments/{pipeline}/{environment}/plan", "GET /api/v1/environments/{pipeline}/{environment}/policy",
		"GET /api/v1/environments/{pipeline}/{environment}/deployments",
		"GET /api/v1/environments/{pipeline}/{environment}/releases",
		"GET /api/v1/environments/{pipeline}/{environment}/exec",
		"GET /runs/{pipeline}/{number}", "GET /runs/{pipeline}/{number}/events",
		"GET /runs/{pipeline}/{number}/steps/{step}/log", "GET /runs/{pipeline}/{number}/steps/{step}/log/events",
		"GET /approvals/{pipeline}/{number}/{step}",
		"GET /environments/{pipeline}/{environment}", "GET /environments/{pipeline}/{environment}/events",
	},
	"start":  {"POST /api/v1/projects/{project}/runs", "POST /api/v1/pipelines/{pipeline}/runs/{number}/rerun", "POST /runs/{pipeline}/{number}/rerun", "GET /projects/{project}/run", "POST /projects/{project}/run"},
	"cancel": {"POST /api/v1/pipelines/{pipeline}/runs/{number}/cancel", "POST /runs/{pipeline}/{number}/cancel"},
	"approve": {
		"POST /api/v1/pipelines/{pipeline}/runs/{number}/approvals/{step}/decide", "POST /approvals/{pipeline}/{number}/{step}",
	},
	"deploy": {
		"POST /api/v1/environments/{pipeline}/{environment}/deploy", "POST /environments/{pipeline}/{environment}/deploy",
		"POST /api/v1/environments/{pipeline}/{environment}/gone", "POST /environments/{pipeline}/{environment}/gone",
		"POST /api/v1/environments/{pipeline}/{environment}/exec", "GET /api/v1/environments/{pipeline}/{environment}/exec/{id}",
		"POST /api/v1/environments/{pipeline}/{environment}/rollback", "POST /environments/{pipeline}/{environment}/rollback",
		"POST /api/v1/environments/{pipeline}/{environment}/promote", "POST /environments/{pipeline}/{environment}/promote",
	},
	"manage": {
		"PUT /api/v1/projects/{project}", "DELETE /api/v1/projects/{project}", "DELETE /api/v1/projects/{project}/cache",
		"POST /api/v1/projects/{project}/changes/{id}/allow",
		"POST /api/v1/pipelines/{pipeline}/runs/{number}/steps/{step}/shell", "GET /api/v1/pipelines/{pipeline}/runs/{number}/steps/{step}/shell",
		"GET /api/v1/projects/{project}/deliveries/{id}", "POST /api/v1/projects/{project}/deliveries/{id}/replay",
		"POST /projects/{project}/deliveries/{id}/replay",
		"POST /api/v1/projects/{project}/webhook", "PUT /api/v1/projects/{project}/token", "DELETE /api/v1/projects/{project}/webhook/previous",
		"GET /api/v1/projects/{project}/secrets", "GET /api/v1/projects/{project}/secret-uses",
		"PUT /api/v1/projects/{project}/secrets/{name}", "DELETE /api/v1/projects/{project}/secrets/{name}",
		"POST /api/v1/environments/{pipeline}/{environment}/freeze", "POST /environments/{pipeline}/{environment}/freeze",
		"POST /api/v1/environments/{pipeline}/{environment}/thaw", "POST /environments/{pipeline}/{environment}/thaw",
		"POST /api/v1/environments/{pipeline}/{environment}/remove", "POST /api/v1/environments/{pipeline}/{environment}/policy",
		"POST /api/v1/environments/{pipeline}/{environment}/unpin", "POST /environments/{pipeline}/{environment}/unpin",
		"POST /api/v1/environments/{pipeline}/{environment}/start", "POST /environments/{pipeline}/{environment}/start",
		"POST /projects/{project}/freeze", "POST /projects/{project}/thaw",
		"PUT /api/v1/projects/{project}/freeze", "DELETE /api/v1/projects/{project}/freeze",
	},
	"server": {
		"POST /api/v1/projects", "PUT /api/v1/freezes/{name}", "DELETE /api/v1/freezes/{name}",
		"GET /api/v1/accounts", "PUT /api/v1/accounts/{name}", "DELETE /api/v1/accounts/{name}", "POST /api/v1/accounts/{name}/link",
		"GET /api/v1/groups", "PUT /api/v1/groups/{name}", "DELETE /api/v1/groups/{name}",
		"GET /api/v1/workers", "POST /api/v1/workers/tokens", "POST /api/v1/workers/{worker}/drain", "DELETE /api/v1/workers/{worker}",
		"POST /api/v1/workers/{worker}/labels",
		"GET /workers", "POST /workers/{worker}/drain", "POST /workers/{worker}/resume", "POST /workers/{worker}/remove",
		"GET /api/v1/audit", "POST /api/v1/backup", "POST /api/v1/secret-key/rotate",
	},
	"worker": {
		"POST /api/v1/worker/hello", "POST /api/v1/worker/lease", "POST /api/v1/worker/keep",
		"POST /api/v1/worker/leases/{run}/{step}/{attempt}/renew", "POST /api/v1/worker/leases/{run}/{step}/{attempt}/log",
		"POST /api/v1/worker/leases/{run}/{step}/{attempt}/finish", "GET /api/v1/worker/leases/{run}/{step}/{attempt}/shell",
		"POST /api/v1/worker/leases/{run}/{step}/{attempt}/tests", "POST /api/v1/worker/leases/{run}/{step}/{attempt}/cache/find", "POST /api/v1/worker/leases/{run}/{step}/{attempt}/cache/keep",
		"POST /api/v1/worker/leases/{run}/{step}/{attempt}/artifacts/missing",
		"POST /api/v1/worker/leases/{run}/{step}/{attempt}/artifacts/lacking",
		"POST /api/v1/worker/leases/{run}/{step}/{attempt}/artifacts/packs",
		"PUT /api/v1/worker/leases/{run}/{step}/{attempt}/artifacts/uploads/{pack}",
		"GET /api/v1/worker/leases/{run}/{step}/{attempt}/artifacts/packs/{digest}",
		"PUT /api/v1/worker/leases/{run}/{step}/{attempt}/artifacts/manifests/{digest}",
		"GET /api/v1/worker/leases/{run}/{step}/{attempt}/artifacts/manifests/{digest}",
		"GET /api/v1/worker/environments/{pipeline}/{environment}/errands/{id}", "POST /api/v1/worker/environments/{pipeline}/{environment}/errands/{id}/begin",
		"POST /api/v1/worker/environments/{pipeline}/{environment}/errands/{id}/end",
		"POST /api/v1/worker/environments/{pipeline}/{environment}/report",
		"GET /api/v1/worker/environments/{pipeline}/{environment}/artifacts/packs/{digest}",
		"GET /api/v1/worker/environments/{pipeline}/{environment}/artifacts/manifests/{digest}",
	},
}

// TestEveryRouteAsEveryoneOnTheirOwnProjectAndOnAnothers asks the real server for each of its routes as each kind of
// caller, on "mine" and on "theirs".
func TestEveryRouteAsEveryoneOnTheirOwnProjectAndOnAnothers(t *testing.T) {
	d := newDoor(t)
	kinds := kindsByRoute(t)
	for _, route := range access.Routes {
		kind, known := kinds[route.String()]
		if !known {
			t.Errorf("%s is in no line of the test's table: who may use it?", route)
			continue
		}
		for _, caller := range everybody {
			mine := slices.Contains(who[kind], caller)
			d.asks(route, caller, "mine", mine)
			d.asks(route, caller, "theirs", mine && (!isAboutProject(kind) || slices.Contains(elsewhere, caller)))
		}
	}
}

// kindsByRoute turns the table round, and fails where it has a route that the server does not have.
func kindsByRoute(t *testing.T) map[string]string {
	t.Helper()
	kinds := map[string]string{}
	for kind, routes := range table {
		for _, name := range routes {
			kinds[name] = kind
			if !slices.ContainsFunc(access.Routes, func(r access.Route) bool { return r.String() == name }) {
				t.Errorf("the server has no route %s", name)
			}
		}
	}
	return kinds
}

func isAboutProject(kind string) bool {
	return !slices.Contains([]string{"anyone", "signed in", "server", "worker"}, kind)
}

// door is a server with two projects, each with a release live in staging and a run whose approval was rejected, and
// one caller of each kind. What they may do is asked for in a way that changes nothing: with a body that is refused, or
// for what the state of things does not allow.
type door struct {
	*house
	credentials map[string]string
	people      map[string]person
}

func newDoor(t *testing.T) *door {
	d := &door{house: newHouse(t), credentials: map[string]string{"nobody": ""}, people: map[string]person{}}
	d.group("release-managers")
	w := d.worker("north-1")
	d.credentials["worker"] = w.key
	boss := d.person("boss", "administrator", "", "release-managers")
	for _, project := range []string{"mine", "theirs"} {
		d.project(project)
		run := d.brings(w, project)
		asked, err := boss.Approval(t.Context(), project, run.Number, "release")
		must(t, err)
		_, err = boss.Decide(t.Context(), asked, client.Decision{Reason: "not today"})
		must(t, err)
	}
	for _, role := range []string{"stranger", "viewer", "runner", "approver", "deployer", "maintainer", "administrator"} {
		d.people[role] = d.person(role, strings.TrimPrefix(role, "stranger"), "mine")
		d.credentials[role] = d.people[role].token
	}
	d.people["scoped"] = d.people["maintainer"]
	d.credentials["scoped"] = d.scoped("scoped")
	return d
}

// scoped makes a token of the maintainer that may only start runs in "mine".
func (d *door) scoped(name string) string {
	token, err := d.people["maintainer"].NewToken(d.Context(), client.Token{
		Name: name, Project: "mine", Permissions: []string{"run.start"},
	})
	must(d.T, err)
	return token.Token
}

// credential answers what a caller shows. Signing out ends a token, so that is done with one of its own.
func (d *door) credential(route access.Route, caller, project string) string {
	if !strings.HasSuffix(route.Pattern, "/logout") || d.people[caller].Client == nil {
		return d.credentials[caller]
	}
	name := "spent-" + strings.Trim(strings.ReplaceAll(route.Pattern, "/", "-"), "-") + "-" + project
	if caller == "scoped" {
		return d.scoped(name + "-scoped")
	}
	token, err := d.people[caller].NewToken(d.Context(), client.Token{Name: name})
	must(d.T, err)
	return token.Token
}

// asks makes one request, and fails unless it reaches its handler exactly where it should.
func (d *door) asks(route access.Route, caller, project string, want bool) {
	d.Helper()
	status, body := d.request(route, d.credential(route, caller, project), project)
	if status == http.StatusInternalServerError {
		d.Errorf("%s as %s on %s: a fault of the server: %s", route, caller, project, body)
	}
	if got := !isTurnedAway(status, body); got != want {
		d.Errorf("%s as %s on %s: admitted is %t, wanted %t (%d %.200s)", route, caller, project, got, want, status, body)
	}
}

// request answers the status, and the body where it has an end.
func (d *door) request(route access.Route, credential, project string) (int, string) {
	d.Helper()
	path := strings.NewReplacer(
		"{project}", project, "{pipeline}", project, "{environment}", "staging", "{number}", "1", "{name}", "nobody-here",
		"{worker}", "nobody-here", "{run}", "no-run", "{attempt}", "1", "{digest}", "sha256:0", "{file...}", "style.css", "{$}", "",
	).Replace(route.Pattern)
	step := map[bool]string{true: "release", false: "site"}[strings.Contains(route.Pattern, "/approvals/")]
	path = strings.ReplaceAll(path, "{step}", step)
	if strings.HasSuffix(path, "log/events") {
		path += "?from=0"
	}
	ctx, cancel := context.WithCancel(d.Context())
	defer cancel()
	// A worker's call for a step would wait for one: a version that is no text has it refused.
	r, err := http.NewRequestWithContext(ctx, route.Method, d.URL+path, strings.NewReader(`{"nonsense": 1, "version": 1}`))
	must(d.T, err)
	if credential != "" {
		r.Header.Set("Authorization", "Bearer "+credential)
	}
	response, err := http.DefaultTransport.RoundTrip(r)
	must(d.T, err)
	defer response.Body.Close()
	if strings.HasPrefix(response.Header.Get("Content-Type"), "text/event-stream") {
		return response.StatusCode, ""
	}
	body, err := io.ReadAll(response.Body)
	must(d.T, err)
	return response.StatusCode, response.Header.Get("Location") + string(body)
}

// isTurnedAway says that the guard did not let a request through to its handler: handlers refuse in other words.
func isTurnedAway(status int, body string) bool {
	says := func(text string) bool { return strings.Contains(body, text) }
	switch status {
	case http.StatusUnauthorized:
		return says("nobody is signed in")
	case http.StatusSeeOther:
		return strings.HasPrefix(body, "/login?next=")
	case http.StatusForbidden:
		return says("may not do this: it needs the permission") || says("only a worker may do this")
	case http.StatusNotFound:
		return says("or you may not see it")
	}
	return false
}

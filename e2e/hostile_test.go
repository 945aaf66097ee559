//go:build linux

package e2e_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/towpath-cd/towpath/client"
)

// call is a request as a stranger would send it.
type call struct {
	what, method, path, body string
	token                    string // "owner", "worker", or text as it stands
	code                     string
}

func hostileCalls() []call {
	const projects = "/api/v1/projects"
	return []call{
		{"no token", "GET", projects, "", "", "unauthorized"},
		{"no token", "POST", projects, `{"url":"/x"}`, "", "unauthorized"},
		{"a wrong token", "GET", projects, "", "twt_" + strings.Repeat("a", 52), "unauthorized"},
		{"half a token", "GET", projects, "", "twt_", "unauthorized"},
		{"a worker's key", "GET", "/api/v1/accounts", "", "worker", "forbidden"},
		{"a worker's key", "POST", projects, `{"url":"/x"}`, "worker", "forbidden"},
		{"a worker's key", "GET", "/api/v1/audit", "", "worker", "forbidden"},
		{"a person's token", "POST", "/api/v1/worker/lease", `{}`, "owner", "forbidden"},

		{"no JSON", "POST", projects, "url=/x", "owner", "invalid"},
		{"half a JSON", "POST", projects, `{"url":`, "owner", "invalid"},
		{"a list for an object", "POST", projects, `["/x"]`, "owner", "invalid"},
		{"a number for a text", "POST", projects, `{"url":7}`, "owner", "invalid"},
		{"an unknown field", "POST", projects, `{"url":"/x","admin":true}`, "owner", "invalid"},
		{"two documents", "POST", projects, `{"url":"/x"}{"url":"/y"}`, "owner", "invalid"},
		{"a huge body", "POST", projects, `{"url":"` + strings.Repeat("x", 4<<20) + `"}`, "owner", "invalid"},
		{"deep nesting", "POST", projects, strings.Repeat("[", 100_000), "owner", "invalid"},
		{"bytes that are no text", "POST", projects, "{\"url\":\"\xff\xfe\"}", "owner", "invalid"},

		{"no address", "POST", projects, `{}`, "owner", "invalid"},
		{"a command for an address", "POST", projects, `{"url":"ext::sh -c id","name":"x"}`, "owner", "invalid"},
		{"an option for an address", "POST", projects, `{"url":"--upload-pack=id","name":"x"}`, "owner", "invalid"},
		{"a path in a name", "POST", projects, `{"url":"/tmp","name":"../../etc"}`, "owner", "invalid"},
		{"a polling without a pause", "POST", projects, `{"url":"/tmp","name":"x","poll":0.000001}`, "owner", "invalid"},
		{"a negative polling", "POST", projects, `{"url":"/tmp","name":"x","poll":-1}`, "owner", "invalid"},
		{"a path in an account's name", "PUT", "/api/v1/accounts/..%2Fana", `{}`, "owner", "invalid"},
		{"a role that is none", "PUT", "/api/v1/accounts/ana", `{"roles":{"*":"emperor"}}`, "owner", "invalid"},
		{"a member that is none", "PUT", "/api/v1/groups/g", `{"members":["nobody"]}`, "owner", "not_found"},
		{"a path in a secret's name", "PUT", "/api/v1/projects/app/secrets/..%2Fkey", `{"value":"v"}`, "owner", "invalid"},
		{"an empty secret", "PUT", "/api/v1/projects/app/secrets/KEY", `{}`, "owner", "invalid"},
		{"a project that is none", "POST", projects + "/nothing/runs", `{}`, "owner", "not_found"},
		{"a pipeline that is none", "GET", "/api/v1/pipelines/nothing/runs/1", "", "owner", "not_found"},
		{"a run that is none", "POST", "/api/v1/pipelines/app/runs/99/cancel", "", "owner", "not_found"},
		{"a run without a number", "GET", "/api/v1/pipelines/app/runs/one", "", "owner", "invalid"},
		{"a path for a step", "GET", "/api/v1/pipelines/app/runs/1/steps/..%2F..%2Fowner.token/log", "", "owner", "not_found"},
		{"an environment that is none", "POST", "/api/v1/environments/app/nowhere/rollback", `{}`, "owner", "not_found"},
		{"a branch that is an option", "POST", projects + "/app/runs", `{"branch":"--upload-pack=id"}`, "owner", "not_found"},
		{"a revision that is an option", "POST", projects + "/app/runs", `{"revision":"--output=/tmp/x"}`, "owner", "invalid"},
		{"a worker without an identity", "POST", "/api/v1/worker/register", `{"machine":"../x"}`, "", "invalid"},
		{"a worker without a token", "POST", "/api/v1/worker/register", `{"name":"x","machine":"` + uuid.NewString() + `","token":"x"}`, "", "unauthorized"},
		{"somebody else's lease", "POST", "/api/v1/worker/leases/..%2Fx/app/1/finish", `{"state":"passed"}`, "worker", "stale"},
		{"a log that nobody asked for", "POST", "/api/v1/worker/leases/r/s/1/log?offset=-1", "x", "worker", "stale"},
		{"a code that is none", "POST", "/api/v1/login", `{"code":"twl_x","token_name":"x"}`, "", "unauthorized"},
	}
}

func TestHostileCallsAreToldWhatIsWrongAndChangeNothing(t *testing.T) {
	t.Parallel()
	s := openSite(t)
	s.newRepository("app", tree{"towpath.yaml": "pipeline: app\nsteps: [{test: app, run: echo}]\n"}).watch()
	s.ends(1, "passed")
	tokens := map[string]string{"owner": s.token(), "worker": s.workerKey()}
	before := s.everything()
	for _, c := range hostileCalls() {
		if named, is := tokens[c.token]; is {
			c.token = named
		}
		s.isTold(c)
	}
	if after := s.everything(); after != before {
		t.Errorf("something changed:\n%s\n%s", before, after)
	}
}

// isTold sends a call and expects {code, message, hint}.
func (s *site) isTold(c call) {
	s.Helper()
	request, err := http.NewRequestWithContext(s.Context(), c.method, "http://"+s.address+c.path, strings.NewReader(c.body))
	s.must(err)
	request.Header.Set("Content-Type", "application/json")
	if c.token != "" {
		request.Header.Set("Authorization", "Bearer "+c.token)
	}
	response, err := http.DefaultClient.Do(request)
	s.must(err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	s.must(err)
	var said client.Error
	if err := json.Unmarshal(body, &said); err != nil || said.Message == "" {
		s.Errorf("%s (%s %.80s): answered %s %q", c.what, c.method, c.path, response.Status, body)
		return
	}
	if said.Code != c.code {
		s.Errorf("%s (%s %.80s %.80s): code %s and not %s: %s", c.what, c.method, c.path, c.body, said.Code, c.code, said.Message)
	}
}

// everything is what the server knows, as far as a stranger could change it.
func (s *site) everything() string {
	s.Helper()
	audit, err := s.api.Audit(s.Context())
	projects, errProjects := s.api.Projects(s.Context())
	accounts, errAccounts := s.api.Accounts(s.Context())
	groups, errGroups := s.api.Groups(s.Context())
	runs, errRuns := s.api.Runs(s.Context(), client.RunFilter{})
	workers, errWorkers := s.api.Workers(s.Context())
	s.must(errors.Join(err, errProjects, errAccounts, errGroups, errRuns, errWorkers))
	names := make([]string, len(workers)) // when they were seen changes all the time
	for n, w := range workers {
		names[n] = w.ID
	}
	audit = slices.DeleteFunc(audit, func(e client.AuditEntry) bool { return e.Action == "worker.refused" }) // which is what is to be
	all, err := json.Marshal([]any{audit, projects, accounts, groups, runs, names})
	s.must(err)
	return string(all)
}

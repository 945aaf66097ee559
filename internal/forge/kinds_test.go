package forge_test

import (
	"errors"
	"flag"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/towpath-cd/towpath/internal/forge"
	"github.com/towpath-cd/towpath/internal/forge/bitbucket"
	"github.com/towpath-cd/towpath/internal/forge/bitbucketserver"
	"github.com/towpath-cd/towpath/internal/forge/generic"
	"github.com/towpath-cd/towpath/internal/forge/gitea"
	"github.com/towpath-cd/towpath/internal/forge/github"
	"github.com/towpath-cd/towpath/internal/forge/gitlab"
)

var update = flag.Bool("update", false, "write the golden files anew")

func kinds() []forge.Kind {
	return []forge.Kind{
		github.Kind(), gitlab.Kind(), gitea.Kind(), bitbucket.Kind(), bitbucketserver.Kind(), generic.Kind(),
	}
}

func TestManuals(t *testing.T) {
	for _, kind := range kinds() {
		t.Run(kind.Name, func(t *testing.T) {
			where := forge.Where{Server: "https://" + kind.Name + ".example.com", Path: "ana/shop"}
			got := kind.Manual(where, "https://towpath.example.com/hooks/shop", "0f5c6b1e")
			golden := filepath.Join("testdata", "manual", kind.Name+".txt")
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("run with -update if it is meant:\n%s", diff)
			}
		})
	}
}

// recognizedBy answers the names of the kinds that take a server for theirs.
func recognizedBy(t *testing.T, client *http.Client, server string) []string {
	t.Helper()
	var names []string
	for _, kind := range kinds() {
		is, err := kind.Recognizes(t.Context(), client, server)
		if err != nil {
			t.Errorf("%s asks %s: %v", kind.Name, server, err)
		}
		if is {
			names = append(names, kind.Name)
		}
	}
	return names
}

func TestPublicForgesAreKnownByTheirNames(t *testing.T) {
	silent := &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
		t.Errorf("%s was asked", r.URL)
		return nil, errors.ErrUnsupported
	})}
	for server, kind := range map[string]string{
		"https://github.com": "github", "https://GitHub.com": "github", "https://www.github.com": "github", "https://team.ghe.com": "github",
		"https://gitlab.com": "gitlab", "https://gitea.com": "gitea", "https://codeberg.org": "gitea", "https://bitbucket.org": "bitbucket",
	} {
		if diff := cmp.Diff([]string{kind}, recognizedBy(t, silent, server)); diff != "" {
			t.Errorf("%s: %s", server, diff)
		}
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestServersAreKnownByWhatTheySay(t *testing.T) {
	elsewhere := httptest.NewServer(answering(http.StatusOK, "/api/v1/version", `{"version":"1.26.0"}`, nil))
	defer elsewhere.Close()
	for name, c := range map[string]struct {
		handler http.Handler
		want    []string
	}{
		"Enterprise Server":             {answering(200, "/api/v3/meta", `{"verifiable_password_authentication":true,"installed_version":"3.19.0"}`, nil), []string{"github"}},
		"Enterprise Server, closed":     {answering(401, "/api/v3/meta", `{"message":"Requires authentication"}`, map[string]string{"X-GitHub-Enterprise-Version": "3.19.0"}), []string{"github"}},
		"GitLab":                        {answering(401, "/api/v4/version", `{"message":"401 Unauthorized"}`, nil), []string{"gitlab"}},
		"GitLab by its header":          {answering(401, "/api/v4/version", ``, map[string]string{"X-Gitlab-Meta": `{"correlation_id":"01"}`}), []string{"gitlab"}},
		"Gitea":                         {answering(200, "/api/v1/version", `{"version":"1.26.0"}`, nil), []string{"gitea"}},
		"Forgejo":                       {answering(200, "/api/v1/version", `{"version":"15.0.0+gitea-1.22.0"}`, nil), []string{"gitea"}},
		"Gitea for those who signed in": {answering(403, "/api/v1/version", `{"message":"Only signed in user is allowed to call APIs."}`, nil), []string{"gitea"}},
		"Bitbucket Data Center":         {answering(200, "/rest/api/1.0/application-properties", `{"version":"9.4.0","buildNumber":"9004000","displayName":"Bitbucket"}`, nil), []string{"bitbucket-server"}},
		"a page for everything":         {answering(200, "", `<html>hello</html>`, nil), nil},
		"an object for everything":      {answering(200, "", `{"hello":"world"}`, nil), nil},
		"another's 401":                 {answering(401, "", `{"message":"no"}`, nil), nil},
		"nothing":                       {http.NotFoundHandler(), nil},
		"one that sends elsewhere":      {http.RedirectHandler(elsewhere.URL+"/api/v1/version", http.StatusFound), nil},
	} {
		server := httptest.NewServer(c.handler)
		if diff := cmp.Diff(c.want, recognizedBy(t, server.Client(), server.URL)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		server.Close()
	}
}

// answering answers one path, or all where it is empty.
func answering(status int, path, body string, header map[string]string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if path != "" && r.URL.Path != path {
			http.NotFound(w, r)
			return
		}
		for name, value := range header {
			w.Header().Set(name, value)
		}
		w.WriteHeader(status)
		w.Write([]byte(body))
	})
}

func TestAServerThatDoesNotAnswerIsNotRecognizedAsAnything(t *testing.T) {
	broken := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }))
	defer broken.Close()
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	for _, server := range []string{broken.URL, gone.URL} {
		for _, kind := range []forge.Kind{github.Kind(), gitlab.Kind(), gitea.Kind(), bitbucketserver.Kind()} {
			if is, err := kind.Recognizes(t.Context(), &http.Client{}, server); is || !errors.Is(err, forge.ErrBusy) {
				t.Errorf("%s of %s: %v, %v", kind.Name, server, is, err)
			}
		}
	}
}

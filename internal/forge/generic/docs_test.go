//go:build linux

package generic

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/towpath-cd/towpath/internal/forge"
	"github.com/towpath-cd/towpath/internal/forge/forgetest"
)

func TestTheScriptOfTheDocumentation(t *testing.T) {
	page, err := os.ReadFile("../../../docs/webhooks.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(page), "```sh\n")
	script, _, closed := strings.Cut(rest, "```\n")
	if !found || !closed {
		t.Fatal("docs/webhooks.md has no script")
	}
	for name, c := range map[string]struct {
		before, after string
		want          forge.Event
	}{
		"a push":           {before, after, forge.Event{Kind: forge.EventPush, Branch: "main", Before: before, After: after}},
		"a deleted branch": {before, strings.Repeat("0", 40), forge.Event{Kind: forge.EventPush, Branch: "main", Before: before}},
		"a new branch":     {"", after, forge.Event{Kind: forge.EventPush, Branch: "main", After: after}},
	} {
		t.Run(name, func(t *testing.T) {
			got := deliveredBy(t, script, "BEFORE="+c.before, "AFTER="+c.after)
			if diff := cmp.Diff([]forge.Event{c.want}, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// deliveredBy runs a script, and reads what it delivers.
func deliveredBy(t *testing.T, script string, environ ...string) (events []forge.Event) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if err := (hooks{}).Verify(r.Header, body, []string{forgetest.Secret}); err != nil {
			http.Error(w, err.Error(), http.StatusForbidden)
			return
		}
		if id, event := (hooks{}).Identify(r.Header); len(id) != 36 || event != "push" {
			t.Errorf("identified as %q, %q", id, event)
		}
		var err error
		if events, err = (hooks{}).Parse(r.Header, body); err != nil {
			t.Error(err)
		}
	}))
	defer server.Close()
	command := exec.Command("bash", "-euo", "pipefail", "-c", script)
	command.Env = append(os.Environ(), append(environ, "SECRET="+forgetest.Secret, "URL="+server.URL+"/hooks/shop")...)
	if output, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%v (it takes bash, curl and openssl: apt-get install curl openssl)\n%s", err, output)
	}
	return events
}

// Package github is GitHub: github.com, GHE.com and Enterprise Server.
package github

import (
	"context"
	"fmt"
	"net/http"

	"github.com/towpath-cd/towpath/internal/forge"
)

// Kind answers the kind.
func Kind() forge.Kind {
	return forge.Kind{
		Name: "github", Hooks: hooks{}, Open: open, Recognizes: recognizes, Manual: manual,
		RequestRefspec: "+refs/pull/*/head:refs/pull/*/head",
	}
}

// recognizes an Enterprise Server by the version that it tells everyone.
// https://docs.github.com/en/enterprise-server/rest/meta/meta
func recognizes(ctx context.Context, client *http.Client, server string) (bool, error) {
	if isPublic(server) {
		return true, nil
	}
	if forge.IsPublic(server) {
		return false, nil
	}
	answer, err := forge.Ask(ctx, client, server, "/api/v3/meta")
	if err != nil {
		return false, err
	}
	var meta struct {
		Version string `json:"installed_version"`
	}
	isMeta := forge.Decode(answer.Body, &meta) == nil && meta.Version != ""
	return isMeta || answer.Header.Get("X-GitHub-Enterprise-Version") != "", nil
}

// isPublic says that GitHub runs the server itself.
func isPublic(server string) bool { return forge.IsHost(server, "github.com", ".ghe.com") }

func manual(where forge.Where, hookURL, secret string) string {
	return fmt.Sprintf(`The webhook of %[1]s, set up by hand at GitHub (it takes an administrator of the repository):
1. Open %[2]s/%[1]s/settings/hooks/new
2. Payload URL:       %[3]s
   Content type:      application/json
   Secret:            %[4]s
   SSL verification:  enabled
3. Which events: "Let me select individual events", then "Pull requests" and "Pushes", and nothing else.
4. "Add webhook". GitHub sends a ping at once; its answer stands under "Recent Deliveries".
`, where.Path, where.Server, hookURL, secret)
}

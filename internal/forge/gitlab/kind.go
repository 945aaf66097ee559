// Package gitlab is GitLab, at gitlab.com and elsewhere.
package gitlab

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/towpath-cd/towpath/internal/forge"
)

// Kind answers the kind.
func Kind() forge.Kind {
	return forge.Kind{
		Name: "gitlab", Hooks: hooks{}, Open: open, Recognizes: recognizes, Manual: manual,
		RequestRefspec: "+refs/merge-requests/*/head:refs/merge-requests/*/head",
	}
}

// recognizes a server by how it refuses to tell strangers its version, or by a header that all its answers have.
func recognizes(ctx context.Context, client *http.Client, server string) (bool, error) {
	if forge.IsPublic(server) {
		return forge.IsHost(server, "gitlab.com"), nil
	}
	answer, err := forge.Ask(ctx, client, server, "/api/v4/version")
	if err != nil {
		return false, err
	}
	var refusal struct{ Message string }
	isRefusal := answer.Status == http.StatusUnauthorized && forge.Decode(answer.Body, &refusal) == nil &&
		refusal.Message == "401 Unauthorized"
	return isRefusal || answer.Header.Get("X-Gitlab-Meta") != "", nil
}

func manual(where forge.Where, hookURL, secret string) string {
	field := "Secret token:"
	if strings.HasPrefix(secret, signing) {
		field = "Signing token:"
	}
	return fmt.Sprintf(`The webhook of %[1]s, set up by hand at GitLab (it takes a maintainer of the project):
1. Open %[2]s/%[1]s/-/hooks and choose "Add new webhook".
2. URL:               %[3]s
   %-[5]s      %[4]s
3. Trigger: "Push events" of all branches, "Tag push events" and "Merge request events", and nothing else.
   SSL verification:  enabled
4. "Add webhook". "Test" > "Push events" sends the newest push again; GitLab knows no pings.
`, where.Path, where.Server, hookURL, secret, field)
}

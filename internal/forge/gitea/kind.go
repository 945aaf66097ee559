// Package gitea is Gitea, and Forgejo, which has the same API and the same deliveries.
package gitea

import (
	"context"
	"fmt"
	"net/http"

	"github.com/towpath-cd/towpath/internal/forge"
)

// Kind answers the kind.
func Kind() forge.Kind {
	return forge.Kind{
		Name: "gitea", Hooks: hooks{}, Open: open, Recognizes: recognizes, Manual: manual,
		RequestRefspec: "+refs/pull/*/head:refs/pull/*/head",
	}
}

// recognizes a server by the version that it tells everyone; one that wants everybody signed in, by how it says so.
func recognizes(ctx context.Context, client *http.Client, server string) (bool, error) {
	if forge.IsPublic(server) {
		return forge.IsHost(server, "gitea.com", "codeberg.org"), nil
	}
	answer, err := forge.Ask(ctx, client, server, "/api/v1/version")
	if err != nil {
		return false, err
	}
	var told struct{ Version, Message string }
	if forge.Decode(answer.Body, &told) != nil {
		return false, nil
	}
	isClosed := answer.Status == http.StatusForbidden && told.Message == "Only signed in user is allowed to call APIs."
	return isClosed || answer.Status == http.StatusOK && told.Version != "", nil
}

func manual(where forge.Where, hookURL, secret string) string {
	return fmt.Sprintf(`The webhook of %[1]s, set up by hand at Gitea or Forgejo (it takes an administrator of the repository):
1. Open %[2]s/%[1]s/settings/hooks and choose "Add Webhook" > "Gitea" (or "Forgejo").
2. Target URL:        %[3]s
   HTTP Method:       POST
   POST Content Type: application/json
   Secret:            %[4]s
   Branch filter:     *
3. Trigger On: "Custom Events...", then "Push", "Delete", "Pull Request" and "Pull Request Synchronized", and nothing else.
4. "Add Webhook". On its page "Test Delivery" sends a push that moves nothing.
If no delivery arrives from a private address, the server's app.ini has to allow it: ALLOWED_HOST_LIST in [webhook].
`, where.Path, where.Server, hookURL, secret)
}

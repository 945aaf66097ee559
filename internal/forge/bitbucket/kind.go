// Package bitbucket is Bitbucket Cloud. The one that teams run by themselves is bitbucketserver: it has another API and
// other deliveries.
package bitbucket

import (
	"context"
	"fmt"
	"net/http"

	"github.com/towpath-cd/towpath/internal/forge"
)

// Kind answers the kind. Bitbucket Cloud keeps no references of pull requests.
func Kind() forge.Kind {
	return forge.Kind{Name: "bitbucket", Hooks: hooks{}, Open: open, Recognizes: recognizes, Manual: manual}
}

// recognizes the only server that there is.
func recognizes(_ context.Context, _ *http.Client, server string) (bool, error) {
	return forge.IsHost(server, "bitbucket.org"), nil
}

func manual(where forge.Where, hookURL, secret string) string {
	return fmt.Sprintf(`The webhook of %[1]s, set up by hand at Bitbucket Cloud (it takes an administrator of the repository):
1. Open %[2]s/%[1]s/admin/webhooks and choose "Add webhook".
2. Title:             Towpath
   URL:               %[3]s
   Secret:            %[4]s
   Status:            active
   SSL/TLS:           certificates are checked (nothing is skipped)
3. Triggers: "Choose from a full list of triggers", then Repository: "Push" and Pull request: "Created", "Updated",
   "Merged" and "Declined", and nothing else.
4. "Save". Bitbucket sends nothing before the next push.
`, where.Path, where.Server, hookURL, secret)
}

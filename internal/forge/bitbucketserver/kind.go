// Package bitbucketserver is Bitbucket Data Center, formerly Server, which teams run by themselves.
package bitbucketserver

import (
	"context"
	"fmt"
	"net/http"

	"github.com/towpath-cd/towpath/internal/forge"
)

// Kind answers the kind.
func Kind() forge.Kind {
	return forge.Kind{
		Name: "bitbucket-server", Hooks: hooks{}, Open: open, Recognizes: recognizes, Manual: manual,
		RequestRefspec: "+refs/pull-requests/*/from:refs/pull-requests/*/from",
	}
}

// recognizes a server by what it tells everyone of itself.
func recognizes(ctx context.Context, client *http.Client, server string) (bool, error) {
	if forge.IsPublic(server) {
		return false, nil
	}
	answer, err := forge.Ask(ctx, client, server, "/rest/api/1.0/application-properties")
	if err != nil {
		return false, err
	}
	var properties struct {
		Version string `json:"version"`
		Build   string `json:"buildNumber"`
		Name    string `json:"displayName"`
	}
	isKnown := answer.Status == http.StatusOK && forge.Decode(answer.Body, &properties) == nil
	return isKnown && properties.Version != "" && (properties.Name == "Bitbucket" || properties.Build != ""), nil
}

func manual(where forge.Where, hookURL, secret string) string {
	return fmt.Sprintf(`The webhook of %[1]s, set up by hand at Bitbucket Data Center (it takes an administrator of the repository):
1. Open the repository at %[2]s, then "Repository settings" > "Webhooks" > "Create webhook".
2. Name:              Towpath
   URL:               %[3]s
   Secret:            %[4]s
   Active:            yes
   SSL/TLS:           certificates are checked (nothing is skipped)
3. Events: Repository: "Push"; Pull request: "Opened", "Source branch updated", "Modified", "Merged", "Declined" and
   "Deleted"; and nothing else.
4. "Test connection" sends a ping, then "Create".
`, where.Path, where.Server, hookURL, secret)
}

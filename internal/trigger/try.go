package trigger

import (
	"context"
	"strings"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/git"
)

// AccessOf is what a project's repository is shown: a token over HTTPS, a key over SSH. Either may be empty.
func AccessOf(p towpath.Project, token, key string) git.Access {
	a := git.Access{KnownHosts: p.KnownHosts}
	if key != "" {
		a.Key = []byte(key)
	}
	if token != "" {
		a.User, a.Password = tokenUser(p.Forge.Kind), token
	}
	return a
}

// tokenUser is the account that a forge wants to hear beside a token. Those that take any take this one.
func tokenUser(kind towpath.ForgeKind) string {
	switch kind {
	case towpath.ForgeGitHub:
		return "x-access-token" // docs.github.com: authenticating as a GitHub App installation
	case towpath.ForgeGitLab:
		return "oauth2" // docs.gitlab.com: clone using a token
	case towpath.ForgeBitbucket, towpath.ForgeBitbucketServer:
		return "x-token-auth" // support.atlassian.com: repository access tokens
	}
	return "towpath"
}

// Try asks a repository that nobody watches yet for its default branch; empty where HEAD names none.
func (r *Repositories) Try(ctx context.Context, p towpath.Project, a git.Access) (defaultBranch string, err error) {
	refs, err := r.git.LsRemote(ctx, p.URL, a, "HEAD")
	return strings.TrimPrefix(refs.Default, branches), explainOnce(err)
}

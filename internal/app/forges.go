package app

import (
	"context"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/access"
	"github.com/towpath-cd/towpath/internal/forge"
	"github.com/towpath-cd/towpath/internal/forge/bitbucket"
	"github.com/towpath-cd/towpath/internal/forge/bitbucketserver"
	"github.com/towpath-cd/towpath/internal/forge/generic"
	"github.com/towpath-cd/towpath/internal/forge/gitea"
	"github.com/towpath-cd/towpath/internal/forge/github"
	"github.com/towpath-cd/towpath/internal/forge/gitlab"
	"github.com/towpath-cd/towpath/internal/store"
)

// forgeKinds is every kind of forge, by its name in a project's settings.
func forgeKinds() map[towpath.ForgeKind]forge.Kind {
	return map[towpath.ForgeKind]forge.Kind{
		towpath.ForgeNone:            generic.Kind(),
		towpath.ForgeGitHub:          github.Kind(),
		towpath.ForgeGitLab:          gitlab.Kind(),
		towpath.ForgeGitea:           gitea.Kind(),
		towpath.ForgeBitbucket:       bitbucket.Kind(),
		towpath.ForgeBitbucketServer: bitbucketserver.Kind(),
	}
}

// forgeTime bounds a call of a forge.
const forgeTime = 20 * time.Second

// hooksOf are how the kinds make deliveries.
func hooksOf(kinds map[towpath.ForgeKind]forge.Kind) map[towpath.ForgeKind]forge.Hooks {
	hooks := make(map[towpath.ForgeKind]forge.Hooks, len(kinds))
	for name, kind := range kinds {
		hooks[name] = kind.Hooks
	}
	return hooks
}

// forgeToken answers the token that a project's forge is shown; empty where it has none.
func forgeToken(db *store.Store, secrets *access.Secrets) func(context.Context, string) (string, error) {
	return func(ctx context.Context, project string) (token string, err error) {
		err = db.View(ctx, func(tx *store.Tx) error {
			known, err := secrets.Credentials(tx, project)
			token = known[access.ForgeToken]
			return err
		})
		return token, err
	}
}

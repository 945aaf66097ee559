package app

import (
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/forge"
	"github.com/towpath-cd/towpath/internal/forge/bitbucket"
	"github.com/towpath-cd/towpath/internal/forge/bitbucketserver"
	"github.com/towpath-cd/towpath/internal/forge/generic"
	"github.com/towpath-cd/towpath/internal/forge/gitea"
	"github.com/towpath-cd/towpath/internal/forge/github"
	"github.com/towpath-cd/towpath/internal/forge/gitlab"
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

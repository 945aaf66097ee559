package app

import (
	"context"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/access"
	"github.com/towpath-cd/towpath/internal/git"
	"github.com/towpath-cd/towpath/internal/store"
	"github.com/towpath-cd/towpath/internal/trigger"
)

// credentials answers what repositories and forges are shown.
type credentials struct {
	db      *store.Store
	secrets *access.Secrets
}

// ForRepository answers what a project's repository is shown.
func (c credentials) ForRepository(tx *store.Tx, p towpath.Project) (git.Access, error) {
	known, err := c.secrets.Credentials(tx, p.ID)
	return trigger.AccessOf(p, known[access.ForgeToken], known[access.DeployKey]), err
}

// repository is ForRepository in a view of its own.
func (c credentials) repository(ctx context.Context, p towpath.Project) (shown git.Access, err error) {
	err = c.db.View(ctx, func(tx *store.Tx) error {
		shown, err = c.ForRepository(tx, p)
		return err
	})
	return shown, err
}

// token answers the token that a project's forge is shown; empty where it has none.
func (c credentials) token(ctx context.Context, project string) (token string, err error) {
	err = c.db.View(ctx, func(tx *store.Tx) error {
		known, err := c.secrets.Credentials(tx, project)
		token = known[access.ForgeToken]
		return err
	})
	return token, err
}

package app

import (
	"context"

	"github.com/towpath-cd/towpath/internal/store"
)

// tagged says which projects' repositories are asked for their tags: those whose pipelines start by one. Where nobody can
// tell, the poll fails as well.
func tagged(db *store.Store) func(project string) bool {
	return func(project string) (wants bool) {
		err := db.View(context.Background(), func(tx *store.Tx) (err error) {
			wants, err = tx.WantsTags(project)
			return err
		})
		return err == nil && wants
	}
}

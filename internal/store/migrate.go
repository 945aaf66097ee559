package store

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"io/fs"
	"log/slog"

	"github.com/pressly/goose/v3"

	"github.com/towpath-cd/towpath"
)

//go:embed migrations/*.sql
var migrations embed.FS

// migrate brings the schema up to date. Migrations only ever add: a server of the version before must be able to read
// what is there, and a released migration is never edited.
func migrate(ctx context.Context, db *sql.DB, log *slog.Logger) error {
	provider, err := newProvider(db)
	if err != nil {
		return err
	}
	current, known, err := provider.GetVersions(ctx)
	if err != nil {
		return fmt.Errorf("read the schema's version: %w", explain(err))
	}
	if current > known {
		return towpath.Errorf(towpath.CodeConflict, "the database is of a newer version of towpath: its schema has number %d, "+
			"and this version knows %d", current, known).WithHint("start the version that wrote it, or a later one; nothing was changed")
	}
	done, err := provider.Up(ctx)
	if err != nil {
		return fmt.Errorf("bring the schema up to date: %w", explain(err))
	}
	if len(done) > 0 {
		log.InfoContext(ctx, "schema is up to date", "migrations", len(done))
	}
	return nil
}

// newProvider answers what applies migrations, each in a transaction of its own.
func newProvider(db *sql.DB) (*goose.Provider, error) {
	folder, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, fmt.Errorf("read the migrations: %w", err)
	}
	provider, err := goose.NewProvider(goose.DialectSQLite3, db, folder, goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return nil, fmt.Errorf("read the migrations: %w", err)
	}
	return provider, nil
}

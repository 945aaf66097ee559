package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// LimitPages makes the database behave as on a full disk once it has that many pages of 4 KiB.
func (s *Store) LimitPages(n int) error {
	return s.Update(context.Background(), func(tx *Tx) error {
		_, err := tx.db.exec(fmt.Sprintf("PRAGMA max_page_count = %d", n))
		return err
	})
}

// Pretend has a database say that its schema has a number.
func Pretend(ctx context.Context, path string, version int64) error {
	return withDatabase(path, func(db *sql.DB) error {
		_, err := db.ExecContext(ctx, "INSERT INTO goose_db_version (version_id, is_applied) VALUES (?, 1)", version)
		return err
	})
}

// UpgradeTo applies the first migrations only.
func UpgradeTo(ctx context.Context, path string, version int64) error {
	return withDatabase(path, func(db *sql.DB) error {
		provider, err := newProvider(db)
		if err != nil {
			return err
		}
		_, err = provider.UpTo(ctx, version)
		return err
	})
}

// SchemaVersion is the number of the newest migration.
func SchemaVersion() int64 {
	provider, err := newProvider(new(sql.DB))
	if err != nil {
		panic(err)
	}
	sources := provider.ListSources()
	return sources[len(sources)-1].Version
}

func withDatabase(path string, use func(*sql.DB) error) error {
	db, err := sql.Open("sqlite", source(path))
	if err != nil {
		return err
	}
	return errors.Join(use(db), db.Close())
}

package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	_ "modernc.org/sqlite" // the driver

	"github.com/towpath-cd/towpath/internal/failpoint"
)

// Options says where the state is kept.
type Options struct {
	Path string // of the database's file; made if it is missing
	Log  *slog.Logger
}

// Store is the server's state. It is safe for use by many goroutines.
type Store struct {
	readers *readers
	writers *sql.DB
	writer  *writer
	path    string
}

// Open opens the database, brings its schema up to date, and starts the writer.
func Open(ctx context.Context, o Options) (*Store, error) {
	s := &Store{path: o.Path}
	if err := s.open(ctx, o); err != nil {
		return nil, errors.Join(fmt.Errorf("open %s: %w", o.Path, err), s.Close())
	}
	return s, nil
}

func (s *Store) open(ctx context.Context, o Options) (err error) {
	if err := touch(o.Path); err != nil {
		return err
	}
	if s.writers, err = sql.Open("sqlite", source(o.Path, "_txlock=immediate")); err != nil {
		return err
	}
	s.writers.SetMaxOpenConns(1)
	if err := migrate(ctx, s.writers, o.Log); err != nil {
		return err
	}
	db, err := sql.Open("sqlite", source(o.Path, "_pragma=query_only(1)"))
	if err != nil {
		return err
	}
	s.readers = newReaders(db)
	s.writer, err = startWriter(ctx, s.writers)
	return err
}

// touch makes the file where it is missing, so that only its owner can read it: SQLite gives its other files the rights
// of this one.
func touch(path string) error {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnwritable, err)
	}
	return file.Close()
}

// source is what the driver opens. synchronous=FULL: a commit that was acknowledged survives the loss of power.
func source(path string, more ...string) string {
	settings := []string{
		"_pragma=busy_timeout(10000)", "_pragma=journal_mode(WAL)", "_pragma=synchronous(FULL)",
		"_pragma=fullfsync(1)", "_pragma=foreign_keys(1)", "_pragma=journal_size_limit(67108864)",
	}
	settings = append(settings, more...)
	file := url.URL{Path: filepath.ToSlash(path)}
	return "file:" + file.EscapedPath() + "?" + strings.Join(settings, "&")
}

// Close waits for the commit under way and closes the database. Updates that still wait answer ErrClosed.
func (s *Store) Close() error {
	var errs []error
	if s.writer != nil {
		errs = append(errs, s.writer.stop())
	}
	if s.readers != nil {
		errs = append(errs, s.readers.close())
	}
	if s.writers != nil {
		errs = append(errs, s.writers.Close())
	}
	return errors.Join(errs...)
}

// View runs fn on one consistent state of the database. It sees every update that was acknowledged before it began, and
// can change nothing.
//
// It answers the error of fn, ErrClosed, or the context's, if that ended before it had read everything.
func (s *Store) View(ctx context.Context, fn func(*Tx) error) error {
	return s.readers.view(ctx, fn)
}

// Update runs fn on the one writer and answers after its changes are on the disk. Updates that wait together are
// committed together; each is undone alone if its fn answers an error or panics. fn must not call Update, and should not
// wait for anything else: all other writers wait for it.
//
// It answers the error of fn, ErrUnwritable, ErrClosed, or the context's, if that ended before fn began.
func (s *Store) Update(ctx context.Context, fn func(*Tx) error) error {
	return s.writer.do(ctx, failpoint.Called("commit"), fn)
}

// Unwritable answers why the last commit could not be written, an ErrUnwritable, or nil where it could.
func (s *Store) Unwritable() error {
	if why := s.writer.unwritable.Load(); why != nil {
		return *why
	}
	return nil
}

// Backup writes a consistent copy of the database to a new file at path, while the server goes on working.
func (s *Store) Backup(ctx context.Context, path string) error {
	db, err := sql.Open("sqlite", source(s.path)) // not a reader, because those may not write any file
	if err != nil {
		return fmt.Errorf("back up: %w", err)
	}
	defer db.Close()
	if _, err := db.ExecContext(ctx, "VACUUM INTO ?", path); err != nil {
		return fmt.Errorf("back up to %s: %w", path, explain(err))
	}
	return nil
}

// Check reads the whole database and answers an error where it is damaged.
func (s *Store) Check(ctx context.Context) error {
	return s.View(ctx, func(tx *Tx) error {
		said, err := one(tx, nil, text, "PRAGMA integrity_check(1)")
		if err == nil && said != "ok" {
			err = fmt.Errorf("the database is damaged: %s", said)
		}
		return err
	})
}

package store

import (
	"context"
	"database/sql"
	"fmt"
)

// statementsKept bounds how many prepared statements are kept: queries with lists of varying length would pile up.
const statementsKept = 256

// statements is a connection that prepares each of its statements once. Only the writer's goroutine uses it.
type statements struct {
	conn *sql.Conn
	kept map[string]*sql.Stmt
}

func newStatements(conn *sql.Conn) *statements {
	return &statements{conn: conn, kept: map[string]*sql.Stmt{}}
}

// ExecContext runs a statement that answers no rows.
func (s *statements) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	statement, err := s.prepare(ctx, query)
	if err != nil {
		return nil, err
	}
	if statement == nil {
		return s.conn.ExecContext(ctx, query, args...)
	}
	return statement.ExecContext(ctx, args...)
}

// QueryContext runs a statement that answers rows.
func (s *statements) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	statement, err := s.prepare(ctx, query)
	if err != nil {
		return nil, err
	}
	if statement == nil {
		return s.conn.QueryContext(ctx, query, args...)
	}
	return statement.QueryContext(ctx, args...)
}

// prepare answers nil where enough statements are kept already.
func (s *statements) prepare(ctx context.Context, query string) (*sql.Stmt, error) {
	if kept, ok := s.kept[query]; ok || len(s.kept) >= statementsKept {
		return kept, nil
	}
	statement, err := s.conn.PrepareContext(ctx, query)
	if err != nil {
		return nil, fmt.Errorf("prepare a statement: %w", err)
	}
	s.kept[query] = statement
	return statement, nil
}

func (s *statements) close() error {
	for _, statement := range s.kept {
		_ = statement.Close() // the connection is closed next, which frees them all
	}
	return s.conn.Close()
}

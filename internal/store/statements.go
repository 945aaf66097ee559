package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
)

// statementsKept bounds how many prepared statements are kept: queries with lists of varying length would pile up.
const statementsKept = 256

// statements is a connection that prepares each of its statements once. One goroutine at a time uses it.
type statements struct {
	conn *sql.Conn
	kept map[string]*sql.Stmt
}

func newStatements(conn *sql.Conn) *statements {
	return &statements{conn: conn, kept: map[string]*sql.Stmt{}}
}

// exec runs a statement that answers no rows. It is told of no context that may end, as query is not: for each that
// is, database/sql and the driver keep goroutines.
func (s *statements) exec(query string, args ...any) (sql.Result, error) {
	statement, err := s.prepare(query)
	if err != nil {
		return nil, err
	}
	if statement == nil {
		return s.conn.ExecContext(context.Background(), query, args...)
	}
	return statement.ExecContext(context.Background(), args...)
}

// query runs a statement that answers rows.
func (s *statements) query(query string, args ...any) (*sql.Rows, error) {
	statement, err := s.prepare(query)
	if err != nil {
		return nil, err
	}
	if statement == nil {
		return s.conn.QueryContext(context.Background(), query, args...)
	}
	return statement.QueryContext(context.Background(), args...)
}

// prepare answers nil where enough statements are kept already.
func (s *statements) prepare(query string) (*sql.Stmt, error) {
	if kept, ok := s.kept[query]; ok || len(s.kept) >= statementsKept {
		return kept, nil
	}
	statement, err := s.conn.PrepareContext(context.Background(), query)
	if err != nil {
		return nil, fmt.Errorf("prepare a statement: %w", err)
	}
	s.kept[query] = statement
	return statement, nil
}

// run runs a command that concerns the transaction.
func (s *statements) run(command string) error {
	_, err := s.exec(command)
	return explain(err)
}

// discard closes a connection in whatever state it is: nobody gets it again.
func (s *statements) discard() {
	_ = s.conn.Raw(func(any) error { return driver.ErrBadConn })
}

func (s *statements) close() error {
	for _, statement := range s.kept {
		_ = statement.Close() // the connection is closed next, which frees them all
	}
	return s.conn.Close()
}

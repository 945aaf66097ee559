package store

import (
	"context"
	"strings"
	"time"
)

// Tx is a view or an update under way: one consistent state of the database. Its methods that change something answer
// an error in a view. It is used by one goroutine, and not after the function that it was handed to has returned.
type Tx struct {
	ctx context.Context // of the view, asked at each row; an update's never ends, because others share its transaction
	db  *statements
}

// row is what a scanning function reads from.
type row interface{ Scan(dest ...any) error }

// Try runs fn in a savepoint of an update: where it fails, its own changes are undone and no others. undone is what it
// answered then; err says that the whole update is lost.
func (tx *Tx) Try(fn func() error) (undone, err error) {
	if err := tx.db.run("SAVEPOINT part"); err != nil {
		return nil, err
	}
	if undone = fn(); undone != nil {
		if err := tx.db.run("ROLLBACK TO part"); err != nil {
			return undone, withCause(undone, err)
		}
	}
	return undone, tx.db.run("RELEASE part")
}

// exec answers how many rows were changed.
func (tx *Tx) exec(query string, args ...any) (int, error) {
	result, err := tx.db.exec(query, args...)
	if err != nil {
		return 0, explain(err)
	}
	n, err := result.RowsAffected()
	return int(n), err
}

// must runs a statement that changes exactly one row, and answers otherwise where there is none.
func (tx *Tx) must(otherwise error, query string, args ...any) error {
	n, err := tx.exec(query, args...)
	if err == nil && n == 0 {
		return otherwise
	}
	return err
}

// each calls scan for every row, as long as somebody waits for them.
func (tx *Tx) each(scan func(row) error, query string, args ...any) error {
	rows, err := tx.db.query(query, args...)
	if err != nil {
		return explain(err)
	}
	defer rows.Close()
	for rows.Next() {
		if tx.ctx.Err() != nil {
			return context.Cause(tx.ctx)
		}
		if err := scan(rows); err != nil {
			return err
		}
	}
	return explain(rows.Err())
}

// all answers every row.
func all[T any](tx *Tx, scan func(row) (T, error), query string, args ...any) ([]T, error) {
	var found []T
	err := tx.each(func(r row) error {
		v, err := scan(r)
		found = append(found, v)
		return err
	}, query, args...)
	if err != nil {
		return nil, err
	}
	return found, nil
}

// one answers the first row, and otherwise where there is none.
func one[T any](tx *Tx, otherwise error, scan func(row) (T, error), query string, args ...any) (T, error) {
	found, err := all(tx, scan, query, args...)
	if err != nil || len(found) == 0 {
		var none T
		if err == nil {
			err = otherwise
		}
		return none, err
	}
	return found[0], nil
}

// conditions builds a WHERE clause from what a filter asks for.
type conditions struct {
	texts []string
	args  []any
}

func (c *conditions) add(text string, args ...any) {
	c.texts = append(c.texts, text)
	c.args = append(c.args, args...)
}

// equal adds a condition where value is not empty.
func (c *conditions) equal(column, value string) {
	if value != "" {
		c.add(column+" = ?", value)
	}
}

// in adds a condition where values is not nil; an empty list matches nothing.
func (c *conditions) in(column string, values []string) {
	switch {
	case values == nil:
	case len(values) == 0:
		c.add("1 = 0")
	default:
		args := make([]any, len(values))
		for i, v := range values {
			args[i] = v
		}
		c.add(column+" IN (?"+strings.Repeat(", ?", len(values)-1)+")", args...)
	}
}

func (c *conditions) where() string {
	if len(c.texts) == 0 {
		return ""
	}
	return " WHERE " + strings.Join(c.texts, " AND ")
}

// limited answers the arguments with a LIMIT's at the end; 0 and less is a thousand.
func (c *conditions) limited(limit int) []any {
	if limit <= 0 {
		limit = 1000
	}
	return append(c.args, limit)
}

// micros is a time as the database has it.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// moment is the inverse of micros.
func moment(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}

package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
)

// viewsAtOnce is how many views may read at the same time; more wait. Each holds a page cache of up to 2 MB.
const viewsAtOnce = 4

// readers are the connections that views run on. The one that was used last is used next: what it has prepared and read
// is there already, and a server with little to do opens only one.
type readers struct {
	db     *sql.DB
	places chan struct{} // one token a view under way
	closed chan struct{}
	close  func() error // waits for the views under way; may be called more than once

	mu   sync.Mutex
	idle []*statements
}

func newReaders(db *sql.DB) *readers {
	db.SetMaxOpenConns(viewsAtOnce)
	r := &readers{db: db, places: make(chan struct{}, viewsAtOnce), closed: make(chan struct{})}
	r.close = sync.OnceValue(r.end)
	return r
}

// view runs fn in a transaction, which is undone: nothing was written, so nothing can be lost.
func (r *readers) view(ctx context.Context, fn func(*Tx) error) error {
	conn, err := r.take(ctx)
	if err != nil {
		return fmt.Errorf("begin to read: %w", explain(err))
	}
	whole := false
	defer func() { r.give(conn, whole) }()
	if err := conn.run("BEGIN"); err != nil {
		return fmt.Errorf("begin to read: %w", err)
	}
	err = fn(&Tx{ctx: ctx, db: conn})
	whole = conn.run("ROLLBACK") == nil
	return err
}

func (r *readers) take(ctx context.Context) (*statements, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	select {
	case r.places <- struct{}{}:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	case <-r.closed:
		return nil, ErrClosed
	}
	if kept := r.pop(); kept != nil {
		return kept, nil
	}
	conn, err := r.db.Conn(ctx)
	if err != nil {
		<-r.places
		return nil, err
	}
	return newStatements(conn), nil
}

func (r *readers) pop() *statements {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.idle) == 0 {
		return nil
	}
	last := len(r.idle) - 1
	conn := r.idle[last]
	r.idle = r.idle[:last]
	return conn
}

// give takes a connection back. One whose transaction could not be ended, or whose view panicked, is not used again.
func (r *readers) give(conn *statements, whole bool) {
	if whole {
		r.mu.Lock()
		r.idle = append(r.idle, conn)
		r.mu.Unlock()
	} else {
		conn.discard()
	}
	<-r.places
}

func (r *readers) end() error {
	close(r.closed)
	for range viewsAtOnce {
		r.places <- struct{}{}
	}
	var errs []error
	for conn := r.pop(); conn != nil; conn = r.pop() {
		errs = append(errs, conn.close())
	}
	return errors.Join(append(errs, r.db.Close())...)
}

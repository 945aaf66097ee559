package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/towpath-cd/towpath/internal/failpoint"
)

const (
	groupSize = 512                   // updates in one commit, at most
	groupTime = 20 * time.Millisecond // after which a group takes nobody more, so that the first does not wait for ever
)

// writer owns the one connection that writes. It runs the updates that wait one after another, each in a savepoint of
// its own, and commits them together: one write to the disk serves all of them, and a lone one waits for nobody.
type writer struct {
	conn    *statements
	updates chan *update // without a buffer: who was taken is run, who was not may still go away
	quit    chan struct{}
	done    chan struct{}
	stop    func() error // ends the loop after the commit under way; may be called more than once

	unwritable atomic.Pointer[error] // why the last commit could not be written
}

// update is one call of Store.Update.
type update struct {
	fn    func(*Tx) error
	err   error
	done  chan struct{}
	place failpoint.Place // of its commit
}

func startWriter(ctx context.Context, db *sql.DB) (*writer, error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, fmt.Errorf("start the writer: %w", err)
	}
	w := &writer{
		conn: newStatements(conn), updates: make(chan *update),
		quit: make(chan struct{}), done: make(chan struct{}),
	}
	w.stop = sync.OnceValue(func() error {
		close(w.quit)
		<-w.done
		return w.conn.close()
	})
	go w.loop()
	return w, nil
}

func (w *writer) do(ctx context.Context, place failpoint.Place, fn func(*Tx) error) error {
	u := &update{fn: fn, done: make(chan struct{}), place: place}
	select {
	case <-w.quit:
		return ErrClosed
	default:
	}
	select {
	case w.updates <- u:
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-w.quit:
		return ErrClosed
	}
	<-u.done
	return u.err
}

func (w *writer) loop() {
	defer close(w.done)
	for {
		select {
		case u := <-w.updates:
			w.group(u)
		case <-w.quit:
			return
		}
	}
}

// group runs the first update and everyone who waits behind it, commits, and tells them. A connection whose
// transaction was lost on the way (SQLite ends it by itself when the disk is full) fails all of them: none was
// acknowledged.
func (w *writer) group(first *update) {
	group := []*update{first}
	err := w.conn.run("BEGIN IMMEDIATE")
	if err == nil {
		group, err = w.collect(first)
	}
	if err == nil {
		err = w.commit(group)
	}
	if err != nil {
		_ = w.conn.run("ROLLBACK") // fails where SQLite has rolled back already
	}
	if err != nil {
		fail(group, fmt.Errorf("commit: %w", err))
	}
	w.unwritable.Store(unwritableOf(group))
	for _, u := range group {
		close(u.done)
	}
}

// commit makes the group's changes lasting.
func (w *writer) commit(group []*update) error {
	for _, u := range group {
		u.place.Before()
	}
	if err := w.conn.run("COMMIT"); err != nil {
		return err
	}
	for _, u := range group {
		u.place.After()
	}
	return nil
}

// fail gives the error to everyone who has none of their own.
func fail(group []*update, err error) {
	for _, u := range group {
		if u.err == nil {
			u.err = err
		}
	}
}

// collect runs updates until nobody waits, or the group is large or old enough.
func (w *writer) collect(first *update) ([]*update, error) {
	group, began := []*update{first}, time.Now()
	if err := w.attempt(first); err != nil {
		return group, err
	}
	for len(group) < groupSize && time.Since(began) < groupTime {
		select {
		case u := <-w.updates:
			group = append(group, u)
			if err := w.attempt(u); err != nil {
				return group, err
			}
		default:
			return group, nil
		}
	}
	return group, nil
}

// attempt runs one update in a savepoint. It answers an error only where the whole transaction is lost.
func (w *writer) attempt(u *update) error {
	if err := w.conn.run("SAVEPOINT one"); err != nil {
		return err
	}
	u.err = call(u.fn, &Tx{ctx: context.Background(), db: w.conn})
	if u.err == nil {
		return w.conn.run("RELEASE one")
	}
	if err := w.conn.run("ROLLBACK TO one"); err != nil {
		return withCause(u.err, err)
	}
	return w.conn.run("RELEASE one")
}

// withCause adds to the error of a transaction that is lost what of one update's error concerns the others in its group.
func withCause(cause, err error) error {
	switch {
	case errors.Is(cause, ErrFull):
		return errors.Join(ErrFull, err)
	case errors.Is(cause, ErrUnwritable):
		return errors.Join(ErrUnwritable, err)
	}
	return err
}

// unwritableOf answers the first error that says so; nil where none does.
func unwritableOf(group []*update) *error {
	for _, u := range group {
		if errors.Is(u.err, ErrUnwritable) {
			return &u.err
		}
	}
	return nil
}

// call runs fn; its panic becomes its error, with the place.
func call(fn func(*Tx) error, tx *Tx) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("an update panicked: %v\n%s", p, debug.Stack())
		}
	}()
	return fn(tx)
}

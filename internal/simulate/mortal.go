package simulate

import (
	"context"

	"github.com/towpath-cd/towpath/internal/store"
)

// death is how a server ends between two instructions.
type death struct{ when string }

// mortal is the server's store. At each commit the server may die: before it, so that nothing is kept, or after it, so
// that nobody hears of it and what would have followed does not happen. Between two commits others get their turn.
type mortal struct{ server *server }

// View implements flow.Store.
func (m mortal) View(ctx context.Context, fn func(*store.Tx) error) error {
	return m.server.store.View(ctx, fn)
}

// Unwritable implements flow.Store.
func (m mortal) Unwritable() error {
	if m.server.world.now < m.server.fullUntil {
		return store.ErrFull
	}
	return nil
}

// Update implements flow.Store.
func (m mortal) Update(ctx context.Context, fn func(*store.Tx) error) error {
	s, w := m.server, m.server.world
	if w.fault(w.drawn.faults.serverDies / 2) {
		panic(death{"before a commit"})
	}
	if w.fault(w.drawn.faults.serverFails) && s.fullUntil < w.now {
		s.fullUntil = w.now + w.dice.between(0, 4e9)
		s.say("disk is full")
	}
	if why := m.Unwritable(); why != nil {
		return why
	}
	err := w.wiring.update(s.store, ctx, fn)
	if err == nil {
		s.commits++
	}
	if w.fault(w.drawn.faults.serverDies / 2) {
		panic(death{"after a commit"})
	}
	m.letOthers()
	return err
}

// letOthers has a message arrive between two commits of whatever the server is doing.
func (m mortal) letOthers() {
	s, w := m.server, m.server.world
	if s.depth > 1 || !w.fault(w.drawn.faults.between) {
		return
	}
	if e := w.nextArrival(); e != nil {
		life := s.life
		do := e.do
		e.do, e.what = func() {}, ""
		s.say("meanwhile")
		do()
		if !s.up || s.life != life {
			panic(death{"meanwhile"})
		}
	}
}

// nextArrival is the message that would arrive next.
func (w *world) nextArrival() *event {
	var next *event
	for _, e := range w.queue {
		if e.arrives && e.what != "" && (next == nil || e.at < next.at || e.at == next.at && e.order < next.order) {
			next = e
		}
	}
	return next
}

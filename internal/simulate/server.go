package simulate

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/flow"
	"github.com/towpath-cd/towpath/internal/store"
)

// tickEvery is how often the rounds happen that nobody asked for: seldom enough to be cheap, and often enough that the
// server's heart does not seem to stop.
const tickEvery = 5500 * time.Millisecond

// server is the judged one: its conductor and its store, and when each of its loops has a round.
type server struct {
	*process
	path      string
	store     *store.Store
	options   flow.Options
	conductor *flow.Conductor
	rounds    flow.Rounds
	pending   map[string]bool // rounds that will happen soon
	waiting   []*held
	commits   int // so far
	depth     int // of calls under way
	fullUntil time.Duration
	jumped    time.Duration // when its clock last did
	failed    error         // a fault of the simulation, not of what it judges
	ids       int
	copied    string    // an older copy of the database
	copiedAt  time.Time // by its own clock
	restored  bool      // it has to make a restored state safe before it goes on
}

func newServer(w *world, path string) *server {
	s := &server{process: &process{name: "server", clock: w.newClock()}, path: path}
	s.options = flow.Options{
		Store: mortal{s}, Repositories: w.repository, Secrets: nothingSecret{}, Announcer: w.wiring.announcer(w.receiver),
		Clock: s.wall, NewID: s.newID, Log: slog.New(slog.DiscardHandler),
	}
	return s
}

func (s *server) newID() string {
	s.ids++
	return fmt.Sprintf("id%d", s.ids)
}

// open begins with the database as it lies there.
func (s *server) open() error {
	var err error
	s.store, err = store.Open(s.world.ctx, store.Options{Path: s.path, Log: s.options.Log})
	return err
}

// begin is the server's start.
func (s *server) begin() {
	s.start()
	s.options.Hub = flow.NewHub()
	s.conductor = flow.New(s.options)
	s.rounds = s.conductor.Rounds()
	s.pending, s.waiting = map[string]bool{}, nil
	s.say("starts")
	if s.restored {
		s.check(s.handle(func(ctx context.Context) error {
			_, err := s.conductor.Restore(ctx, s.copiedAt, unrecorded)
			s.restored = err != nil
			return err
		}))
		if s.restored {
			s.fall("before it has restored everything")
			return
		}
	}
	s.check(s.handle(s.rounds.Resume))
	if !s.up {
		return
	}
	s.world.every(tickEvery-time.Second/2, tickEvery, s.process, s.tick)
	s.world.judge.recheck()
}

func (s *server) say(format string, args ...any) { s.world.say("server", format, args...) }

// tick is what happens although nobody asked for it: a lost wake-up is repaired.
func (s *server) tick() {
	s.check(s.handle(s.rounds.Sweep))
	for _, round := range []string{"changes", "outbox", "people"} {
		if s.world.dice.chance(0.4) {
			s.soon(round)
		}
	}
}

// soon has a round in a moment.
func (s *server) soon(round string) {
	if s.pending[round] {
		return
	}
	s.pending[round] = true
	s.world.after(s.world.dice.between(time.Millisecond, 30*time.Millisecond), s.process, "", func() {
		s.pending[round] = false
		more := false
		before := s.commits
		s.check(s.handle(func(ctx context.Context) (err error) {
			more, err = s.round(ctx, round)
			return err
		}))
		if s.commits > before {
			s.say("round of %s", round)
		}
		if more {
			s.soon(round)
		}
	})
}

func (s *server) round(ctx context.Context, round string) (more bool, err error) {
	switch round {
	case "changes":
		return s.rounds.TakeChanges(ctx)
	case "outbox":
		return s.rounds.CarryOutDue(ctx)
	}
	return s.rounds.AnnounceDue(ctx)
}

// settle hears what was asked for, and answers those who wait for what has changed.
func (s *server) settle() {
	if !s.up {
		return
	}
	changes, outbox, people := s.rounds.Woken()
	for _, w := range []struct {
		woken bool
		round string
	}{{changes, "changes"}, {outbox, "outbox"}, {people, "people"}} {
		if w.woken {
			s.soon(w.round)
		}
	}
	s.wakeWaiting()
}

// errDead is a call that nobody answers any more.
var errDead = errors.New("no answer")

// handle has the server do something. It answers errDead where the server died of it.
func (s *server) handle(do func(context.Context) error) (err error) {
	if !s.up {
		return errDead
	}
	s.depth++
	defer func() {
		s.depth--
		cause := recover()
		if cause == nil {
			return
		}
		died, is := cause.(death)
		if !is {
			panic(cause)
		}
		if s.up {
			s.fall(died.when)
		}
		err = errDead
	}()
	return do(s.world.ctx)
}

// check notes an error that no fault of the world explains.
func (s *server) check(err error) {
	switch {
	case err == nil || errors.Is(err, errDead):
	case towpath.CodeOf(err) == towpath.CodeInternal:
		s.world.judge.breaks(answers, "the server failed: %v", err)
	}
}

// fall is the server's death. Another takes over after a while, with the same database.
func (s *server) fall(when string) {
	if !s.up {
		return
	}
	s.say("dies %s", when)
	s.die()
	waiting := s.waiting
	s.waiting = nil
	for _, h := range waiting {
		h.give(nil, errDead)
	}
	s.fullUntil = 0
	s.world.after(s.world.dice.between(100*time.Millisecond, 9*time.Second), nil, "", s.begin)
}

// mend ends what is wrong with the server.
func (s *server) mend() {
	s.fullUntil = 0
	if s.offset != 0 {
		s.jumped = s.world.now
	}
	s.right()
}

// trouble is what befalls a server besides its death.
func (s *server) trouble() {
	w, f := s.world, s.world.drawn.faults
	w.every(500*time.Millisecond, 1500*time.Millisecond, nil, func() {
		if w.fault(f.jumps) {
			s.jump()
			s.jumped = w.now
		}
	})
	if f.restore {
		copied := w.dice.between(0, w.drawn.trouble)
		w.after(copied, nil, "", s.backUp)
		w.after(w.dice.between(copied, w.drawn.trouble), nil, "", s.restore)
	}
}

// backUp keeps a copy of the database as it is.
func (s *server) backUp() {
	s.copied = filepath.Join(filepath.Dir(s.path), "copy.db")
	if err := s.store.Backup(s.world.ctx, s.copied); err != nil {
		s.failed = errors.Join(s.failed, err)
		s.copied = ""
		return
	}
	s.copiedAt = s.wall()
	s.say("database is copied")
	s.world.judge.copied()
}

// restore has the server die and come back with the older copy, unless an environment came into being since: it would
// not know that anything runs there (docs/simulation.md).
func (s *server) restore() {
	if s.copied == "" || !s.up || s.world.judge.hasNewPlaces() {
		return
	}
	s.fall("with its disk, and gets an older copy of its database")
	err := s.store.Close()
	for _, suffix := range []string{"", "-wal", "-shm"} {
		_ = os.Remove(s.path + suffix)
	}
	s.failed = errors.Join(s.failed, err, os.Rename(s.copied, s.path), s.open())
	s.restored = true
	s.world.judge.restored()
	s.world.repository.deliverAgain()
}

// nothingSecret are the secrets of a world without any.
type nothingSecret struct{}

// ForStep implements flow.Secrets.
func (nothingSecret) ForStep(*store.Tx, towpath.Run, towpath.Step) (flow.Given, error) {
	return flow.Given{}, nil
}

// ForEnvironment implements flow.Secrets.
func (nothingSecret) ForEnvironment(*store.Tx, towpath.Environment) (flow.Given, error) {
	return flow.Given{}, nil
}

// Fetch implements flow.Secrets.
func (nothingSecret) Fetch(context.Context, flow.Given) (map[string]string, error) { return nil, nil }

// Have implements flow.Secrets.
func (nothingSecret) Have(flow.Given, time.Duration, func()) (map[string]string, error) {
	return nil, nil
}

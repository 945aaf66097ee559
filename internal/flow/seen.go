package flow

import (
	"maps"
	"sync"
	"time"

	"github.com/towpath-cd/towpath/internal/store"
)

// sightings are when workers were last heard of, as far as that is not stored yet.
type sightings struct {
	mu sync.Mutex
	at map[string]time.Time
}

func (s *sightings) note(worker string, at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.at == nil {
		s.at = map[string]time.Time{}
	}
	s.at[worker] = at
}

// all answers what is not stored.
func (s *sightings) all() map[string]time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.at)
}

// stored forgets what was stored, unless it is newer by now.
func (s *sightings) stored(at map[string]time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for worker, when := range at {
		if s.at[worker].Equal(when) {
			delete(s.at, worker)
		}
	}
}

// get answers when a worker was last heard of, where that is not stored.
func (s *sightings) get(worker string) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.at[worker]
}

// LastSeen answers when a worker was last heard of.
func (c *Conductor) LastSeen(w store.KnownWorker) time.Time {
	if at := c.seen.get(w.ID); at.After(w.SeenAt) {
		return at
	}
	return w.SeenAt
}

// Saw notes that a worker was heard of. It is stored with the server's next beat: a commit for each call would cost more
// than all else that the call does.
func (c *Conductor) Saw(worker string) { c.seen.note(worker, c.clock()) }

// storeSeen stores when workers were last heard of.
func (a *act) storeSeen(seen map[string]time.Time) error {
	for worker, at := range seen {
		if err := a.tx.SeeWorker(worker, at); err != nil {
			return err
		}
	}
	return nil
}

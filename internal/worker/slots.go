package worker

import (
	"context"
	"slices"
	"sync"
)

// slots are the places for steps. The lowest free one is taken, so that a worker with little to do uses the same
// paths again.
type slots struct {
	free chan struct{} // one token a free slot

	mutex sync.Mutex
	taken []bool
}

func newSlots(n int) *slots {
	s := &slots{free: make(chan struct{}, n), taken: make([]bool, n)}
	for range n {
		s.free <- struct{}{}
	}
	return s
}

// take waits for a slot and answers its number.
func (s *slots) take(ctx context.Context) (int, error) {
	if ctx.Err() != nil {
		return 0, context.Cause(ctx)
	}
	select {
	case <-s.free:
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
	s.mutex.Lock()
	defer s.mutex.Unlock()
	n := slices.Index(s.taken, false)
	s.taken[n] = true
	return n, nil
}

func (s *slots) give(n int) {
	s.mutex.Lock()
	s.taken[n] = false
	s.mutex.Unlock()
	s.free <- struct{}{}
}

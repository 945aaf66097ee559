package worker

import (
	"context"
	"sync"

	"github.com/towpath-cd/towpath/internal/artifact"
)

// turns has things with a digest done by one at a time. The zero value is ready.
type turns struct {
	mu    sync.Mutex
	taken map[artifact.Digest]chan struct{} // closed when it is given back
}

// take waits for its turn. The error is the cause of the end of ctx.
func (t *turns) take(ctx context.Context, d artifact.Digest) (giveBack func(), err error) {
	for {
		before := t.next(d)
		if before == nil {
			return func() { t.giveBack(d) }, nil
		}
		select {
		case <-before:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// next takes the turn and answers nil, or answers whom to wait for.
func (t *turns) next(d artifact.Digest) <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	if before := t.taken[d]; before != nil {
		return before
	}
	if t.taken == nil {
		t.taken = make(map[artifact.Digest]chan struct{})
	}
	t.taken[d] = make(chan struct{})
	return nil
}

func (t *turns) giveBack(d artifact.Digest) {
	t.mu.Lock()
	defer t.mu.Unlock()
	close(t.taken[d])
	delete(t.taken, d)
}

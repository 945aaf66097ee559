package worker

import (
	"context"
	"math/rand/v2"
	"time"
)

// backoff is the wait between tries of a call: it doubles, and is spread so that many workers don't come back at once.
type backoff struct {
	first, most time.Duration
	tries       int
}

func callBackoff() backoff { return backoff{first: 50 * time.Millisecond, most: time.Second} }

// wait blocks until the next try is due. The error is the cause of the end of ctx.
func (b *backoff) wait(ctx context.Context) error {
	pause := min(b.first<<min(b.tries, 16), b.most)
	b.tries++
	return pauseFor(ctx, pause/2+rand.N(pause/2+1))
}

func (b *backoff) reset() { b.tries = 0 }

func pauseFor(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

package supervise

import (
	"context"
	"time"
)

// pace is how often is looked again for what another process is about to do.
const pace = 5 * time.Millisecond

// pause says whether ctx was still going on at the end.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

package proxy

import (
	"context"
	"time"
)

// Clocks bound how long a process that has stopped taking connections goes on.
type Clocks struct {
	// Idle is how long clients' kept connections stay open for one more request, which is answered with
	// "Connection: close". Closing at once would lose requests that are just being sent.
	Idle     time.Duration
	Requests time.Duration // until requests in flight are cut
	Streams  time.Duration // until streams are cut
}

func (c Clocks) withDefaults(defaults Clocks) Clocks {
	if c == (Clocks{}) {
		return defaults
	}
	return c
}

// linger returns when the last connection has ended, the clocks are over, or ctx ends.
func (s *Server) linger(ctx context.Context, clocks Clocks) {
	idle, requests, streams := time.NewTimer(clocks.Idle), time.NewTimer(clocks.Requests), time.NewTimer(clocks.Streams)
	defer idle.Stop()
	defer requests.Stop()
	defer streams.Stop()
	isIdleOver := false
	for s.connections.count() > 0 {
		if isIdleOver {
			s.connections.cutIdle()
		}
		select {
		case <-ctx.Done():
			return
		case <-s.connections.left:
		case <-idle.C:
			isIdleOver = true
		case <-requests.C:
			s.connections.cut(func(_ *backend, isStream bool) bool { return !isStream })
		case <-streams.C:
			s.connections.cut(func(_ *backend, isStream bool) bool { return isStream })
		}
	}
}

package flow

import (
	"context"
	"log/slog"
	"time"
)

// loop calls a function when it is woken, and every so often in case a wake-up was lost. The function answers whether
// there is more to do at once.
type loop struct {
	name   string
	every  time.Duration
	once   func(context.Context) (more bool, err error)
	log    *slog.Logger
	bell   chan struct{}
	cancel context.CancelFunc
	ended  chan struct{}

	failing string // the last round's error, which is logged once and not every second
}

func newLoop(name string, every time.Duration, once func(context.Context) (bool, error), log *slog.Logger) *loop {
	return &loop{name: name, every: every, once: once, log: log, bell: make(chan struct{}, 1)}
}

// wake makes the loop look now, or once more if it is looking. It never blocks.
func (l *loop) wake() {
	select {
	case l.bell <- struct{}{}:
	default:
	}
}

func (l *loop) start() {
	ctx, cancel := context.WithCancel(context.Background())
	l.cancel, l.ended = cancel, make(chan struct{})
	go l.run(ctx)
}

// stop waits for the call under way. It may be called more than once, and before start.
func (l *loop) stop() {
	if l.cancel == nil {
		return
	}
	l.cancel()
	<-l.ended
}

func (l *loop) run(ctx context.Context) {
	defer close(l.ended)
	ticker := time.NewTicker(l.every)
	defer ticker.Stop()
	for {
		if more := l.runOnce(ctx); !more {
			select {
			case <-ctx.Done():
			case <-l.bell:
			case <-ticker.C:
			}
		}
		if ctx.Err() != nil {
			return
		}
	}
}

func (l *loop) runOnce(ctx context.Context) (more bool) {
	more, err := l.once(ctx)
	if ctx.Err() != nil {
		return false
	}
	if err == nil {
		l.failing = ""
		return more
	}
	if l.failing != err.Error() {
		l.failing = err.Error()
		l.log.Error("a round failed; the next ones try again", "loop", l.name, "error", err)
	}
	return false
}

package demo

import (
	"context"
	"fmt"
	"syscall"
	"time"

	"github.com/towpath-cd/towpath/internal/process"
)

// kill ends a process as a crash does, without asking it, and answers when. It has ended then.
func (s *stage) kill(ctx context.Context, name string) (at time.Time, err error) {
	id := s.actor(name).Identity
	at = time.Now()
	if err := process.Signal(id, syscall.SIGKILL); err != nil {
		return time.Time{}, fmt.Errorf("kill the %s: %w", name, err)
	}
	limited, cancel := context.WithTimeoutCause(ctx, grace, fmt.Errorf("the %s was killed, and goes on", name))
	defer cancel()
	return at, until(limited, func(context.Context) bool { return !process.Alive(id) })
}

// restart starts a process again as it was started at first, which is what an init system does.
func (s *stage) restart(name string) error {
	a := s.actor(name)
	id, err := process.StartDetached(a.spec)
	if err != nil {
		return fmt.Errorf("start the %s again: %w", name, err)
	}
	a.Identity = id
	return s.write()
}

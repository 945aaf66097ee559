package crash

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/towpath-cd/towpath/internal/supervise"
)

// clockLock is a file that the shop's single process locks for as long as it runs.
func (w *World) clockLock() string { return w.path("clock") }

// judgeClock sees that one single process runs, of what is live, and that never two did.
func (s *Story) judgeClock(ctx context.Context) (losses []Loss, err error) {
	said, err := os.ReadFile(s.clockLock() + ".overlapped")
	switch {
	case err == nil:
		losses = append(losses, Loss{Doubled, fmt.Sprintf("the clock ran beside another: %s", said)})
	case !errors.Is(err, os.ErrNotExist):
		return nil, err
	}
	e, err := s.Owner.Environment(ctx, shopEnvironment)
	if err != nil {
		return losses, err
	}
	clocks, err := s.singles()
	clocks = slices.DeleteFunc(clocks, func(e supervise.Entry) bool { return !e.Alive && e.Want != supervise.WantRunning })
	isRight := len(clocks) == 1 && e.Live != nil && clocks[0].Spec.Release == e.Live.Number && clocks[0].Alive && clocks[0].Supervised
	if !isRight {
		losses = append(losses, Loss{WrongEnd, fmt.Sprintf("one clock should run, beside %+v: %+v", e.Live, clocks)})
	}
	return losses, err
}

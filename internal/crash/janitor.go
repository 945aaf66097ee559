package crash

import (
	"context"
	"time"
)

// upgradePause is how often the worker is replaced.
const upgradePause = 8 * time.Second

// janitor replaces the worker by a newer one now and then, which asks the old one to end in peace.
type janitor struct{ *Story }

func newJanitor(_ context.Context, s *Story) (actor, error) { return janitor{s}, nil }

func (j janitor) act(ctx context.Context) error {
	if err := pause(ctx, upgradePause); err != nil {
		return err
	}
	j.Replace(Worker)
	return nil
}

func (j janitor) judge(context.Context) ([]Loss, error) { return nil, nil }

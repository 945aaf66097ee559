package worker

import (
	"errors"
	"fmt"

	"github.com/towpath-cd/towpath/internal/durable"
)

// lockFolder makes sure that this is the only worker on its data folder: the next one would take the steps of this
// one for those of a dead one.
func lockFolder(path string) (unlock func() error, err error) {
	unlock, err = durable.LockSoon(path)
	if errors.Is(err, durable.ErrHeld) {
		return nil, fmt.Errorf("lock %s: %w", path, ErrInUse)
	}
	return unlock, err
}

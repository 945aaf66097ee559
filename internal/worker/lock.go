package worker

import (
	"errors"

	"github.com/towpath-cd/towpath/internal/durable"
)

// lockFolder makes sure that this is the only worker on its data folder: the next one would take the steps of this
// one for those of a dead one. The lock ends with the process, however that ends.
func lockFolder(path string) (unlock func() error, err error) {
	unlock, err = durable.Lock(path)
	if errors.Is(err, durable.ErrHeld) {
		return nil, ErrInUse
	}
	return unlock, err
}

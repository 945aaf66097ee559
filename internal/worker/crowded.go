package worker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"syscall"
	"time"

	"github.com/towpath-cd/towpath/internal/git"
)

const (
	// crowdedLimit is how long a step waits on a machine that has no room for another process.
	crowdedLimit = 2 * time.Minute
	// crowdedPause is the first wait between tries, which doubles.
	crowdedPause = 200 * time.Millisecond
)

// patiently does what a step needs before its script begins, and again while the machine has no room for another
// process: that is no fault of the step, and mostly over soon.
func (a *attempt) patiently(ctx context.Context, do func() error) error {
	pause, began := backoff{first: crowdedPause, most: 8 * crowdedPause}, time.Now()
	for {
		err := do()
		if !isCrowded(err) {
			return err
		}
		if time.Since(began) > crowdedLimit {
			return fmt.Errorf("there was no room for another process on this machine for %s: %w", crowdedLimit, err)
		}
		if pause.tries == 0 {
			a.log.Warn("no room for another process; trying until there is", "step", a.lease.Step, "error", err)
		}
		if stopped := pause.wait(ctx); stopped != nil {
			return fmt.Errorf("%w (%w)", stopped, err)
		}
	}
}

// isCrowded says that there was no room in the table of processes, in that of open files, or in memory (fork(2), pipe(2)).
func isCrowded(err error) bool {
	full := []error{git.ErrCrowded, syscall.EAGAIN, syscall.ENOMEM, syscall.EMFILE, syscall.ENFILE}
	return slices.ContainsFunc(full, func(kind error) bool { return errors.Is(err, kind) })
}

package supervise

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/towpath-cd/towpath/internal/durable"
)

// ErrStaleEpoch means that an order was refused because somebody else has taken over; see StaleEpochError.
var ErrStaleEpoch = errors.New("stale epoch")

// Epoch is the authority under which an order is given. A higher number wins over a lower one; two holders of one
// number refuse each other, the first one stays.
type Epoch struct {
	Number uint64 `json:"number"`
	Holder string `json:"holder"`
}

// String is the epoch for people.
func (e Epoch) String() string { return fmt.Sprintf("%d of %s", e.Number, e.Holder) }

// StaleEpochError is an ErrStaleEpoch with the epoch that is valid.
type StaleEpochError struct {
	Given   Epoch `json:"given"`
	Current Epoch `json:"current"`
}

// Error says which epoch was refused, and which is valid.
func (e *StaleEpochError) Error() string {
	return fmt.Sprintf("stale epoch %s: the current one is %s", e.Given, e.Current)
}

// Unwrap makes it an ErrStaleEpoch.
func (e *StaleEpochError) Unwrap() error { return ErrStaleEpoch }

// admits decides whether an order of epoch next may follow one of epoch e.
func (e Epoch) admits(next Epoch) error {
	if next.Number > e.Number || next == e {
		return nil
	}
	return &StaleEpochError{Given: next, Current: e}
}

// Want is what an instance was last ordered to be.
type Want string

// Every Want.
const (
	WantRunning Want = "running"
	WantStopped Want = "stopped"
	WantRemoved Want = "removed"
)

// order is the last one that was accepted.
type order struct {
	Epoch Epoch `json:"epoch"`
	Want  Want  `json:"want"`
	// Restart names the last restart that was ordered, so that an order given twice restarts once.
	Restart string `json:"restart,omitempty"`
}

// fence compares each order's epoch with the last one's, and writes the order down before anyone acts on it.
type fence struct{ dir string }

// give accepts an order, which change makes of the last one, or refuses it with a StaleEpochError or with what change
// returns. Giving the same order again is harmless.
func (f fence) give(ctx context.Context, epoch Epoch, change func(*order) error) (order, error) {
	unlock, err := f.hold(ctx)
	if err != nil {
		return order{}, err
	}
	defer unlock()
	last, err := f.last()
	if err != nil {
		return order{}, err
	}
	if err := last.Epoch.admits(epoch); err != nil {
		return last, err
	}
	next := last
	next.Epoch = epoch
	if err := change(&next); err != nil {
		return last, err
	}
	if next == last {
		return last, nil
	}
	return next, writeJSON(filepath.Join(f.dir, epochFile), next)
}

func (f fence) hold(ctx context.Context) (unlock func() error, err error) {
	return durable.AwaitLock(ctx, filepath.Join(f.dir, epochLockFile))
}

// last returns the last order, the zero one before the first.
func (f fence) last() (order, error) {
	var o order
	if err := readJSON(filepath.Join(f.dir, epochFile), &o); err != nil && !errors.Is(err, os.ErrNotExist) {
		return order{}, err
	}
	return o, nil
}

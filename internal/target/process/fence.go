package process

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/deploy"
	"github.com/towpath-cd/towpath/internal/durable"
	"github.com/towpath-cd/towpath/internal/supervise"
)

// lockPace is how often a lock that another process holds is tried again.
const lockPace = 5 * time.Millisecond

// fence keeps the highest epoch that gave an order in an environment.
type fence struct{ home home }

// hold takes the environment's lock, which ends with this process.
func (f fence) hold(ctx context.Context) (unlock func() error, err error) {
	for {
		unlock, err := durable.Lock(filepath.Join(f.home.root, "lock"))
		if !errors.Is(err, durable.ErrHeld) {
			return unlock, err
		}
		if !pause(ctx, lockPace) {
			return nil, fmt.Errorf("%w: %w", err, context.Cause(ctx))
		}
	}
}

// seen answers the highest epoch, the zero one before the first order.
func (f fence) seen() (towpath.Epoch, error) {
	var e towpath.Epoch
	content, err := os.ReadFile(filepath.Join(f.home.root, "epoch.json"))
	if errors.Is(err, os.ErrNotExist) {
		return e, nil
	}
	if err == nil {
		err = json.Unmarshal(content, &e)
	}
	if err != nil {
		return e, fmt.Errorf("read the epoch of %s: %w", f.home.root, err)
	}
	return e, nil
}

// under runs do while the lock is held, unless a later epoch was seen. The epoch is on disk before do runs.
func (f fence) under(ctx context.Context, epoch towpath.Epoch, claim, do func() error) error {
	unlock, err := f.hold(ctx)
	if err != nil {
		return &deploy.Retryable{Err: err}
	}
	defer func() { _ = unlock() }() // a file that cannot be closed is not locked either
	last, err := f.seen()
	if err != nil {
		return &deploy.Permanent{Err: err}
	}
	if epoch.Before(last) {
		return &deploy.StaleEpoch{Seen: last}
	}
	if epoch != last {
		if err := claim(); err != nil {
			return err
		}
		if err := f.write(epoch); err != nil {
			return &deploy.Retryable{Err: err}
		}
	}
	return do()
}

func (f fence) write(epoch towpath.Epoch) error {
	content, err := json.Marshal(epoch)
	if err == nil {
		err = durable.WriteFile(filepath.Join(f.home.root, "epoch.json"), content)
	}
	return err
}

// admit sees that no later keeper has given an order. The first order of a keeper raises the epoch of every instance,
// so that nothing that an earlier keeper has begun can be carried out any more.
func (d *Driver) admit(ctx context.Context, epoch towpath.Epoch) error {
	return d.under(ctx, epoch, func() error { return nil })
}

func (d *Driver) under(ctx context.Context, epoch towpath.Epoch, do func() error) error {
	return d.fence.under(ctx, epoch, func() error {
		if err := d.claim(ctx, epoch); err != nil {
			return err
		}
		return d.clearAway() // of the one before, who may have died
	}, do)
}

func (d *Driver) claim(ctx context.Context, epoch towpath.Epoch) error {
	entries, err := d.everyEntry()
	if err != nil {
		return &deploy.Retryable{Err: err}
	}
	claims, ctx := errgroup.WithContext(ctx)
	for _, entry := range entries {
		claims.Go(func() error {
			return explain(d.supervisor.Claim(ctx, entry.Dir, supervise.Epoch(epoch)))
		})
	}
	return claims.Wait()
}

// explain gives an error of a supervisor its kind.
func explain(err error) error {
	var stale *supervise.StaleEpochError
	switch {
	case err == nil, errors.Is(err, supervise.ErrNoInstance):
		return nil
	case errors.As(err, &stale):
		return &deploy.StaleEpoch{Seen: towpath.Epoch(stale.Current)}
	case errors.Is(err, supervise.ErrInvalidSpec), errors.Is(err, supervise.ErrOtherSpec):
		return &deploy.Permanent{Err: err}
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return &deploy.UnknownOutcome{Err: err}
	}
	return &deploy.Retryable{Err: err}
}

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

package supervise

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/towpath-cd/towpath/internal/process"

	"github.com/towpath-cd/towpath/internal/durable"
	"github.com/towpath-cd/towpath/internal/failpoint"
)

// errStopped means that a supervisor found nothing to do, and ended.
var errStopped = errors.New("instance is stopped")

// give has an order accepted: by the supervisor, or in its place where there is none.
func (c Client) give(ctx context.Context, dir string, o order) error {
	if _, err := os.Stat(filepath.Join(dir, specFile)); errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("%w: %s", ErrNoInstance, dir)
	}
	_, err := ask(ctx, dir, request{Ask: askOrder, Order: o})
	if !errors.Is(err, errNoSupervisor) {
		return err
	}
	_, err = fence{dir}.give(ctx, o.Epoch, o.apply)
	return err
}

// order has an order accepted and sees that a supervisor lives to carry it out.
func (c Client) order(ctx context.Context, dir string, o order) (State, error) {
	if err := c.give(ctx, dir, o); err != nil {
		return State{}, err
	}
	reply, err := c.reach(ctx, dir, request{Ask: askState})
	if errors.Is(err, errStopped) {
		return State{}, ErrOverruled
	}
	return reply.State, err
}

// reach asks a supervisor, and starts one where there is none.
func (c Client) reach(ctx context.Context, dir string, r request) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, launchLimit)
	defer cancel()
	reply, err := ask(ctx, dir, r)
	if !errors.Is(err, errNoSupervisor) {
		return reply, err
	}
	started, err := c.spawn(dir)
	if err != nil {
		return answer{}, err
	}
	for {
		reply, err := ask(ctx, dir, r)
		if !errors.Is(err, errNoSupervisor) {
			return reply, err
		}
		if err := isUnattended(dir, started); err != nil {
			return answer{}, err
		}
		if !pause(ctx, pace) {
			return answer{}, fmt.Errorf("supervisor not reached: %w", context.Cause(ctx))
		}
	}
}

// spawn starts a supervisor that outlives us. Its environment holds none of our secrets.
func (c Client) spawn(dir string) (process.Identity, error) {
	log := filepath.Join(dir, supervisorLogFile)
	if info, err := os.Stat(log); err == nil && info.Size() > 1<<20 {
		_ = os.Truncate(log, 0)
	}
	return process.StartDetached(process.Spec{
		Args: append(append([]string{}, c.Command...), dir), Dir: dir, LogFile: log,
		Env: append(Inherited(), failpoint.Inherited()...),
	})
}

// isUnattended returns why nobody supervises a folder: the one that we started has ended, and no other holds the lock.
// An order to stop may have been carried out already.
func isUnattended(dir string, started process.Identity) error {
	if process.Alive(started) {
		return nil
	}
	unlock, err := durable.Lock(filepath.Join(dir, lockFile))
	if errors.Is(err, durable.ErrHeld) {
		return nil
	}
	if err != nil {
		return err
	}
	defer unlock()
	if entry, err := readEntry(dir); err == nil && entry.Want != WantRunning && entry.State.Status == StatusStopped {
		return errStopped
	}
	text, _ := readEnd(filepath.Join(dir, supervisorLogFile), 2<<10)
	return fmt.Errorf("supervisor ended: %s", strings.Join(lastLines(string(text), 3), "; "))
}

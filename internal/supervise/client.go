package supervise

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/towpath-cd/towpath/internal/process"

	"github.com/towpath-cd/towpath/internal/durable"
	"github.com/towpath-cd/towpath/internal/failpoint"
)

// Sentinels of a Client.
var (
	// ErrNoInstance means that a folder holds no instance.
	ErrNoInstance = errors.New("no such instance")
	// ErrRunning means that something was asked for that only a stopped instance allows.
	ErrRunning = errors.New("instance is not stopped")
	// ErrOverruled means that another order, of a valid epoch, came in between.
	ErrOverruled = errors.New("another order came in between")
)

// launchLimit is how long a supervisor may take to listen.
const launchLimit = 15 * time.Second

// Client gives orders about instances, each named by its folder. Every order carries an epoch, and is refused with
// ErrStaleEpoch when the instance knows a later one. Each can be given again without harm, also after a crash in the
// midst of it. Whoever runs a Client may freeze or die at any moment; supervisors do not notice.
type Client struct {
	// Command is the command line that runs Run on a folder; the folder is added as its last word.
	Command []string
}

// Launch makes an instance in a folder, unless it is there, and has it run. It returns once its supervisor answers,
// which is before the instance serves. A supervisor that died is replaced, and the new one adopts the instance. The
// error is ErrInvalidSpec, or ErrOtherSpec when the folder holds another instance.
func (c Client) Launch(ctx context.Context, dir string, epoch Epoch, spec Spec) (State, error) {
	spec = spec.withDefaults()
	if err := spec.validate(); err != nil {
		return State{}, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return State{}, fmt.Errorf("launch %s: %w", spec.Instance, err)
	}
	if err := spec.store(ctx, dir, epoch); err != nil {
		return State{}, fmt.Errorf("launch %s: %w", spec.Instance, err)
	}
	state, err := c.order(ctx, dir, order{Epoch: epoch, Want: WantRunning})
	if err != nil {
		return State{}, fmt.Errorf("launch %s: %w", spec.Instance, err)
	}
	return state, nil
}

// Claim raises an instance's epoch and orders nothing.
func (c Client) Claim(ctx context.Context, dir string, epoch Epoch) error {
	if err := c.give(ctx, dir, order{Epoch: epoch}); err != nil {
		return fmt.Errorf("claim %s: %w", dir, err)
	}
	return nil
}

// Restart ends an instance's process and starts it again, without the wait of a back-off. It returns once that is
// ordered.
func (c Client) Restart(ctx context.Context, dir string, epoch Epoch) (State, error) {
	state, err := c.order(ctx, dir, order{Epoch: epoch, Want: WantRunning, Restart: rand.Text()})
	if err != nil {
		return State{}, fmt.Errorf("restart %s: %w", dir, err)
	}
	return state, nil
}

// Dismiss orders an instance to stop, and does not wait. Where its supervisor is dead, Stop carries that out.
func (c Client) Dismiss(ctx context.Context, dir string, epoch Epoch) error {
	if err := c.give(ctx, dir, order{Epoch: epoch, Want: WantStopped}); err != nil {
		return fmt.Errorf("dismiss %s: %w", dir, err)
	}
	return nil
}

// Stop ends an instance, as its spec says, and returns once nothing of it runs. Its folder stays.
func (c Client) Stop(ctx context.Context, dir string, epoch Epoch) (State, error) {
	state, err := c.stop(ctx, dir, order{Epoch: epoch, Want: WantStopped})
	if err != nil {
		return State{}, fmt.Errorf("stop %s: %w", dir, err)
	}
	return state, nil
}

func (c Client) stop(ctx context.Context, dir string, o order) (State, error) {
	for {
		if err := c.give(ctx, dir, o); err != nil {
			return State{}, err
		}
		if state, stopped, err := isStopped(dir); err != nil || stopped {
			return state, err
		}
		if _, err := c.reach(ctx, dir, request{Ask: askState}); err != nil && !errors.Is(err, errStopped) {
			return State{}, err
		}
		reply, err := ask(ctx, dir, request{Ask: askStopped})
		switch {
		case err == nil && reply.State.Status == StatusStopped:
			return reply.State, nil
		case err == nil && reply.Want == WantRunning:
			return State{}, ErrOverruled
		case err != nil && !errors.Is(err, errNoSupervisor):
			return State{}, err
		case ctx.Err() != nil:
			return State{}, context.Cause(ctx)
		}
	}
}

// isStopped believes a state only while no supervisor can be about to change it.
func isStopped(dir string) (State, bool, error) {
	unlock, err := durable.Lock(filepath.Join(dir, lockFile))
	if errors.Is(err, durable.ErrHeld) {
		return State{}, false, nil
	}
	if err != nil {
		return State{}, false, err
	}
	defer unlock()
	state, err := readState(dir)
	return state, state.Status == StatusStopped, err
}

// Remove deletes a stopped instance with its log. The error is ErrRunning when it is not stopped. An instance that is
// gone already is no error; its epoch is gone with it.
func (c Client) Remove(ctx context.Context, dir string, epoch Epoch) error {
	if _, err := os.Stat(dir); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	_, err := fence{dir}.give(ctx, epoch, func(o *order) error {
		if o.Want == WantRunning {
			return ErrRunning
		}
		o.Want = WantRemoved
		return nil
	})
	if err == nil {
		err = removeFolder(ctx, dir)
	}
	if err != nil {
		return fmt.Errorf("remove %s: %w", dir, err)
	}
	return nil
}

// removeFolder waits for a supervisor that is about to end. Renamed first, the folder vanishes at once.
func removeFolder(ctx context.Context, dir string) error {
	unlock, err := durable.AwaitLock(ctx, filepath.Join(dir, lockFile))
	if err != nil {
		return err
	}
	state, err := readState(dir)
	if err == nil && state.Group != "" {
		err = cmp.Or(isEnded(state.Child), process.KillGroup(state.Group))
	}
	if err = errors.Join(err, unlock()); err != nil {
		return err
	}
	grave := filepath.Join(filepath.Dir(dir), ".removed-"+rand.Text())
	place := failpoint.At("remove an instance")
	place.Before()
	if err := os.Rename(dir, grave); err != nil {
		return err
	}
	place.After()
	return os.RemoveAll(grave)
}

func isEnded(child process.Identity) error {
	if process.Alive(child) {
		return ErrRunning
	}
	return nil
}

// State returns what an instance does, from its supervisor, or, when that is dead, as it was last written.
func (c Client) State(ctx context.Context, dir string) (State, error) {
	if _, err := os.Stat(filepath.Join(dir, specFile)); errors.Is(err, os.ErrNotExist) {
		return State{}, fmt.Errorf("%w: %s", ErrNoInstance, dir)
	}
	reply, err := ask(ctx, dir, request{Ask: askState})
	if err == nil {
		return reply.State, nil
	}
	if !errors.Is(err, errNoSupervisor) {
		return State{}, fmt.Errorf("state of %s: %w", dir, err)
	}
	entry, err := readEntry(dir)
	return entry.State, err
}

// Entry is an instance as List finds it.
type Entry struct {
	Dir  string
	Spec Spec
	// State is as it was last written, with the epoch of the last order.
	State State
	// Want is what the last order asked for.
	Want Want
	// Supervised says whether its supervisor lives, Alive whether its process does.
	Supervised, Alive bool
}

// List finds every instance in the folders directly below root, by name, whether or not its supervisor lives.
func List(root string) ([]Entry, error) {
	names, err := filepath.Glob(filepath.Join(root, "*", specFile))
	if err != nil {
		return nil, fmt.Errorf("list instances: %w", err)
	}
	slices.Sort(names)
	var entries []Entry
	for _, name := range names {
		if strings.HasPrefix(filepath.Base(filepath.Dir(name)), ".") {
			continue // on its way out
		}
		entry, err := readEntry(filepath.Dir(name))
		if errors.Is(err, os.ErrNotExist) {
			continue // removed meanwhile
		}
		if err != nil {
			return nil, fmt.Errorf("list instances: %w", err)
		}
		entries = append(entries, entry)
	}
	return entries, nil
}

func readEntry(dir string) (Entry, error) {
	spec, err := readSpec(dir)
	if err != nil {
		return Entry{}, err
	}
	state, err := readState(dir)
	if err != nil {
		return Entry{}, err
	}
	last, err := fence{dir}.last()
	if err != nil {
		return Entry{}, err
	}
	state.Epoch = last.Epoch
	return Entry{
		Dir: dir, Spec: spec, State: state, Want: last.Want,
		Supervised: process.Alive(state.Supervisor), Alive: process.Alive(state.Child),
	}, nil
}

// Package worker is leg 3 on the worker's side: it takes leases of steps from the server, runs their scripts in fresh
// workspaces, streams their logs, and reports how they ended. It speaks to the server through package client only.
//
// What a worker knows of a step that it runs stands on its disk, so that the next worker on the same data folder ends
// what a killed one left running, and delivers what it had not yet delivered.
package worker

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/towpath-cd/towpath/client"
	"github.com/towpath-cd/towpath/internal/confine"
	"github.com/towpath-cd/towpath/internal/executor/docker"
	"github.com/towpath-cd/towpath/internal/executor/shell"
)

// leaseLimit bounds one call for a lease; the server answers after 20 seconds at the latest.
const leaseLimit = 45 * time.Second

// errStopped is why steps end when the worker stops.
var errStopped = errors.New("the worker was stopped")

// worker is what the steps under way share.
type worker struct {
	Options
	log     *slog.Logger
	dirs    folders
	shell   shell.Shell
	mirrors *mirrors
	cache   cache
	packs   turns         // of those that are sent
	slots   chan struct{} // one token a free slot
	places  *places
	apart   *isolation  // nil: steps are processes of this worker's user, in its world
	berths  chan *berth // that wait for a step

	engine   func() (*docker.Engine, error) // finds docker when the first step needs it
	standing sync.Map                       // marks of what stands beside steps now

	running context.Context // ends when scripts are to be interrupted

	steps   sync.WaitGroup
	janitor sync.WaitGroup
	active  sync.Map // client.LeaseRef of steps under way

	performing atomic.Int32 // how many those are
}

// Run takes steps and runs them until ctx ends, then waits for those under way. With the cause ErrDrain they come to
// their end in peace; with any other they are interrupted and not reported, so that the server finds them lost and
// runs them again where that is safe. The error is nil after either, ErrRemoved or ErrInUse.
func Run(ctx context.Context, options Options) error {
	w, err := newWorker(options)
	if err != nil {
		return err
	}
	unlock, err := lockFolder(w.dirs.lock)
	if err != nil {
		return err
	}
	defer func() { _ = unlock() }()
	defer w.janitor.Wait()
	release := w.bindTo(ctx)
	defer release()
	if err := w.clearLeftovers(); err != nil {
		return err
	}
	if w.apart, err = newIsolation(ctx, w); err != nil {
		return err
	}
	w.janitor.Go(w.prepareBerth)
	w.log.Info("worker takes steps", "slots", w.Slots, "server", w.Client.Address())
	err = w.poll(ctx)
	w.steps.Wait()
	w.clearBerths()
	return errors.Join(err, each(w.dirs.work, w.discard))
}

func newWorker(options Options) (*worker, error) {
	o := options.withDefaults()
	dirs, err := openFolders(o.DataDir)
	if err != nil {
		return nil, err
	}
	m, err := newMirrors(dirs.mirrors, dirs.access, o.Isolation.Level == confine.User)
	if err != nil {
		return nil, err
	}
	return &worker{
		Options: o, log: o.Logger, dirs: dirs, shell: shell.New(), mirrors: m,
		cache: cache{dir: dirs.artifacts, most: o.CacheSize, fetching: new(turns)}, engine: newEngine(),
		slots: freeSlots(o.Slots), places: newPlaces(o.Slots), berths: make(chan *berth, max(o.Slots, 1)),
	}, nil
}

// bindTo makes the life of the scripts: it ends with ctx, unless the worker drains.
func (w *worker) bindTo(ctx context.Context) (release func()) {
	running, stop := context.WithCancelCause(context.WithoutCancel(ctx))
	w.running = running
	unbind := context.AfterFunc(ctx, func() {
		if cause := context.Cause(ctx); !errors.Is(cause, ErrDrain) {
			stop(errStopped)
		}
	})
	return func() {
		unbind()
		stop(nil)
	}
}

func freeSlots(n int) chan struct{} {
	free := make(chan struct{}, n)
	for range n {
		free <- struct{}{}
	}
	return free
}

func (w *worker) giveSlot() { w.slots <- struct{}{} }

// poll asks for a step whenever a slot is free. One call waits at a time: the server answers it with one step. A call that
// was not answered is made again under its name, since the server may have leased a step for it.
func (w *worker) poll(ctx context.Context) error {
	pause, call := callBackoff(), rand.Text()
	for {
		select {
		case <-w.slots:
		case <-ctx.Done():
			return nil
		}
		lease, err := w.next(ctx, call)
		if lease != nil {
			w.steps.Go(func() { w.perform(lease) })
		} else {
			w.giveSlot()
		}
		if err == nil {
			call = rand.Text()
		}
		switch {
		case ctx.Err() != nil:
			return nil
		case isRemoved(err):
			return fmt.Errorf("%w: %w", ErrRemoved, err)
		case err != nil:
			w.unreachable(ctx, &pause, err)
		case pause.tries > 0:
			w.log.Info("the server answers again", "tries", pause.tries)
			pause.reset()
		}
	}
}

// unreachable waits before the server is asked again. It is told once, not at each try.
func (w *worker) unreachable(ctx context.Context, pause *backoff, err error) {
	if pause.tries == 0 {
		w.log.Warn("cannot ask for a step; trying until the server answers", "error", err)
	}
	_ = pause.wait(ctx)
}

// next answers a step, or nil when there was none in the time of a long poll.
func (w *worker) next(ctx context.Context, call string) (*client.StepLease, error) {
	if err := w.awaitSpace(ctx); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, leaseLimit)
	defer cancel()
	return w.Client.Lease(ctx, w.Version, call)
}

package supervise

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"sync"
	"time"

	"github.com/towpath-cd/towpath/internal/process"

	"github.com/towpath-cd/towpath/internal/durable"
)

// ErrSupervised means that an instance has a living supervisor already.
var ErrSupervised = errors.New("instance has a supervisor")

const (
	// succession is how long a supervisor waits for a predecessor that is about to end.
	succession = 10 * time.Second
	// rotatePace is how often the size of the log is looked at.
	rotatePace = 2 * time.Second
	// memoryLimit is in bytes. A supervisor needs a few of the many parts of its program.
	memoryLimit = 24 << 20
)

// Options are what a supervisor needs.
type Options struct {
	// Dir is the instance's folder, which a Client made.
	Dir    string
	Logger *slog.Logger
}

// Run supervises an instance until it is ordered to stop, and returns nil then. When ctx is done it returns as well,
// and leaves the instance running for the next supervisor to adopt. The error is ErrSupervised when there is another.
// It is meant to have a process to itself, whose memory it keeps small.
func Run(ctx context.Context, options Options) error {
	runtime.GOMAXPROCS(1)
	debug.SetGCPercent(20)
	debug.SetMemoryLimit(memoryLimit)
	s, err := open(ctx, options)
	if err != nil {
		return fmt.Errorf("supervise %s: %w", options.Dir, err)
	}
	defer s.close()
	debug.FreeOSMemory()
	if err := s.run(ctx); err != nil {
		return fmt.Errorf("supervise %s: %w", options.Dir, err)
	}
	return nil
}

// supervisor is one instance's. One goroutine owns it; the control socket sees copies of its state.
type supervisor struct {
	dir     string
	spec    Spec
	log     *slog.Logger
	fence   fence
	output  output
	unlock  func() error // gives the instance back
	control *control

	child     *process.Process
	notBefore time.Time // of the next start
	portSince time.Time // the port is waited for; zero while it is not
	wake      chan struct{}

	mutex   sync.Mutex
	state   State
	changed chan struct{} // closed and replaced when state changes
}

func open(ctx context.Context, options Options) (_ *supervisor, err error) {
	spec, err := readSpec(options.Dir)
	if err != nil {
		return nil, err
	}
	unlock, err := succeed(ctx, options.Dir)
	if err != nil {
		return nil, err
	}
	s := &supervisor{
		dir: options.Dir, spec: spec, log: options.Logger.With("instance", spec.Instance),
		fence: fence{options.Dir}, output: output{options.Dir, spec.Log}, unlock: unlock,
		wake: make(chan struct{}, 1), changed: make(chan struct{}),
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, unlock())
		}
	}()
	if err := s.takeOver(); err != nil {
		return nil, err
	}
	s.control, err = listen(s)
	return s, err
}

// succeed takes the lock that makes this process the supervisor. A predecessor that answers stays; one that does not
// is about to end, or to be killed.
func succeed(ctx context.Context, dir string) (unlock func() error, err error) {
	ctx, cancel := context.WithTimeout(ctx, succession)
	defer cancel()
	for {
		unlock, err := durable.Lock(filepath.Join(dir, lockFile))
		if !errors.Is(err, durable.ErrHeld) {
			return unlock, err
		}
		if _, err := ask(ctx, dir, request{Ask: askState}); err == nil {
			return nil, ErrSupervised
		}
		if !pause(ctx, pace) {
			return nil, fmt.Errorf("%w, which does not answer", ErrSupervised)
		}
	}
}

func (s *supervisor) close() {
	s.control.close()
	_ = s.unlock() // it ends with the process at the latest
}

// run does what the last order and the situation ask for, one thing at a time, until nothing is left to supervise.
func (s *supervisor) run(ctx context.Context) error {
	for ctx.Err() == nil {
		last, err := s.fence.last()
		if err != nil {
			return err
		}
		switch {
		case last.Want != WantRunning:
			s.stopChild(ctx)
			if done, err := s.finish(ctx); done || err != nil {
				return err
			}
		case s.child == nil:
			s.bringUp(ctx, last)
		case last.Restart != s.current().Restart:
			s.stopChild(ctx)
			s.notBefore = time.Time{}
		default:
			s.attend(ctx)
		}
	}
	return nil
}

// finish ends the supervision, unless the instance was ordered to run meanwhile. Orders are held off until the socket
// and the lock are given back, so that whoever orders next finds either a supervisor that listens, or none.
func (s *supervisor) finish(ctx context.Context) (done bool, err error) {
	unlock, err := s.fence.hold(ctx)
	if err != nil {
		return false, err
	}
	defer unlock()
	if last, err := s.fence.last(); err != nil || last.Want == WantRunning {
		return false, err
	}
	s.update(func(state *State) {
		state.Failures = 0 // whoever starts it again gives it all its tries
		state.set(StatusStopped, "")
	})
	s.log.Info("instance stopped")
	s.close()
	return true, nil
}

// attend waits for something to happen to a child that runs.
func (s *supervisor) attend(ctx context.Context) {
	ticker := time.NewTicker(rotatePace)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.wake:
			return
		case <-s.child.Done():
			s.childEnded()
			return
		case <-ticker.C:
			if err := s.output.rotate(); err != nil {
				s.log.Warn("log not rotated", "error", err)
			}
		}
	}
}

// idle waits until the time for the next attempt, or for an order.
func (s *supervisor) idle(ctx context.Context, until time.Time) {
	timer := time.NewTimer(time.Until(until))
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-s.wake:
	case <-timer.C:
	}
}

// nudge makes the supervisor look at the last order.
func (s *supervisor) nudge() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// current returns a copy of the state.
func (s *supervisor) current() State {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return s.state
}

// watch returns a copy of the state and a channel that is closed when it changes.
func (s *supervisor) watch() (State, <-chan struct{}) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return s.state, s.changed
}

// update changes the state and writes it down. A state that cannot be written (a full disk) is only logged: what was
// written before names the same group, so that a successor stays right.
func (s *supervisor) update(change func(*State)) {
	if err := s.record(change); err != nil {
		s.log.Error("state not written", "error", err)
	}
}

func (s *supervisor) record(change func(*State)) error {
	s.mutex.Lock()
	change(&s.state)
	state := s.state
	close(s.changed)
	s.changed = make(chan struct{})
	s.mutex.Unlock()
	return state.write(s.dir)
}

// set begins a status; saying the same again changes nothing.
func (s *State) set(status Status, reason string) {
	if s.Status != status {
		s.Since = time.Now()
	}
	s.Status, s.Reason, s.Holder = status, reason, nil
}

package supervise

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/towpath-cd/towpath/internal/failpoint"
	"github.com/towpath-cd/towpath/internal/process"
)

// takeOver finds what an earlier supervisor left: a child that runs is adopted; what remains of one that does not, or
// of a start that was cut short, is cleared away.
func (s *supervisor) takeOver() error {
	state, err := readState(s.dir)
	if err != nil {
		return err
	}
	s.state = state
	if s.state.Supervisor, err = process.Self(); err != nil {
		return err
	}
	if state.Child.PID != 0 {
		s.child, err = process.Adopt(state.Child, s.group(state.Group))
	}
	if err != nil && !errors.Is(err, process.ErrGone) {
		return err
	}
	if s.child != nil {
		s.log.Info("child adopted", "pid", state.Child.PID)
		return s.record(func(state *State) { state.set(StatusRunning, "") })
	}
	return s.clearAway(state)
}

func (s *supervisor) clearAway(state State) error {
	if state.Group != "" {
		if err := process.KillGroup(state.Group); err != nil {
			return err
		}
	}
	return s.record(func(next *State) {
		next.Child, next.Group = process.Identity{}, ""
		if state.Child.PID != 0 {
			next.LastExit = &Exit{Code: -1, Unknown: true, At: time.Now()}
		}
	})
}

func (s *supervisor) group(handle string) process.GroupOptions {
	signal, _ := s.spec.Stop.signal() // validated before it was stored
	return process.GroupOptions{Handle: handle, Interrupt: signal, Outlive: true}
}

// bringUp does the next thing towards a running child: wait out the back-off, see the port free, start.
func (s *supervisor) bringUp(ctx context.Context, last order) {
	if time.Now().Before(s.notBefore) && last.Restart == s.current().Restart {
		s.idle(ctx, s.notBefore)
		return
	}
	if err := s.seePortFree(); err != nil {
		s.idle(ctx, time.Now().Add(portPace(time.Since(s.portSince))))
		return
	}
	if err := s.startChild(ctx, last); err != nil {
		s.log.Error("child not started", "error", err)
		s.update(func(state *State) {
			state.Failures, state.Restart = state.Failures+1, last.Restart
			state.set(StatusFailed, err.Error())
			s.notBefore = time.Now().Add(s.spec.Restart.wait(state.Failures))
		})
	}
}

// seePortFree notes who holds the port instead. It says failed once that has lasted too long.
func (s *supervisor) seePortFree() error {
	holder, err := checkPort(s.spec.Address)
	if err == nil {
		s.portSince = time.Time{}
		return nil
	}
	if s.portSince.IsZero() {
		s.portSince = time.Now()
		s.log.Warn("port is not free", "error", err)
	}
	status := StatusStarting
	if time.Since(s.portSince) >= s.spec.PortWithin {
		status = StatusFailed
	}
	if before := s.current(); before.Status != status || before.Reason != err.Error() {
		s.update(func(state *State) {
			state.set(status, err.Error())
			state.Holder = holder
		})
	}
	return err
}

// portPace is when to try a port again that was waited for so long: soon at first, then less often.
func portPace(waited time.Duration) time.Duration {
	return min(max(waited/4, 20*time.Millisecond), time.Second)
}

// startChild writes the group down before anything runs in it.
func (s *supervisor) startChild(ctx context.Context, last order) error {
	handle, err := process.ReserveGroup()
	if err != nil {
		return err
	}
	err = s.record(func(state *State) {
		state.set(StatusStarting, "")
		state.Child, state.Group, state.Restart, state.Epoch = process.Identity{}, handle, last.Restart, last.Epoch
	})
	if err == nil {
		err = s.launch(ctx, handle)
	}
	if err != nil {
		return errors.Join(err, process.KillGroup(handle))
	}
	s.update(func(state *State) {
		if !state.ChildSince.IsZero() {
			state.Restarts++
		}
		state.set(StatusRunning, "")
		state.Child, state.Group, state.ChildSince = s.child.Identity(), s.child.Group(), state.Since
	})
	s.log.Info("child started", "pid", s.child.Identity().PID)
	return nil
}

// launch starts the process on its log file, which it keeps when we die.
func (s *supervisor) launch(ctx context.Context, handle string) error {
	if err := s.output.rotate(); err != nil {
		return err
	}
	log, err := s.output.open()
	if err != nil {
		return err
	}
	defer log.Close()
	place := failpoint.At("start an instance")
	place.Before()
	s.child, err = process.Start(context.WithoutCancel(ctx), process.Spec{
		Args: s.spec.arguments(), Dir: s.spec.Dir, Env: s.spec.environment(),
		Stdout: log, Stderr: log, Group: s.group(handle),
	})
	place.After()
	return err
}

// childEnded sees to a child that ended by itself.
func (s *supervisor) childEnded() {
	exit := s.collect()
	s.update(func(state *State) {
		if exit.At.Sub(state.ChildSince) >= s.spec.Restart.HealthyAfter {
			state.Failures = 0
		}
		state.Failures++
		wait := s.spec.Restart.wait(state.Failures)
		s.notBefore = exit.At.Add(wait)
		state.ended(exit)
		state.set(StatusBackingOff, fmt.Sprintf("%s, starting again in %s", exit, wait))
	})
	s.log.Warn("child ended by itself", "exit", exit.String())
}

// stopChild ends the child as the spec says. It is not cut short when the supervisor is told to end: that would kill
// what was promised time.
func (s *supervisor) stopChild(ctx context.Context) {
	if s.child == nil {
		return
	}
	s.update(func(state *State) { state.set(StatusStopping, "") })
	child := s.child
	place, asked := failpoint.At("stop an instance"), time.Now()
	place.Before()
	if err := s.child.Stop(context.WithoutCancel(ctx), s.spec.Stop.Within); err != nil {
		s.log.Error("child not ended", "error", err)
	}
	place.After()
	exit := s.collect()
	if _, err := child.Wait(); errors.Is(err, process.ErrLeftBehind) {
		s.clearGroup(context.WithoutCancel(ctx), child.Group())
	}
	exit.Killed = s.spec.Stop.Within > 0 && exit.At.Sub(asked) >= s.spec.Stop.Within
	s.update(func(state *State) { state.ended(exit) })
}

// clearGroup ends what the kernel would not let die at first: nothing is said to be stopped while anything of it runs.
func (s *supervisor) clearGroup(ctx context.Context, group string) {
	for err := process.KillGroup(group); err != nil; err = process.KillGroup(group) {
		s.log.Error("something of the child runs still", "error", err)
		pause(ctx, time.Second)
	}
}

// collect takes leave of a child that has ended.
func (s *supervisor) collect() Exit {
	result, err := s.child.Wait()
	if err != nil {
		s.log.Warn("child left something behind", "error", err)
	}
	s.child = nil
	return Exit{Code: result.ExitCode, Signal: result.Signal, Unknown: result.Unknown, At: time.Now()}
}

func (s *State) ended(exit Exit) {
	s.LastExit, s.Child, s.Group = &exit, process.Identity{}, ""
}

// String says how a process ended, for people.
func (e Exit) String() string {
	switch {
	case e.Unknown:
		return "ended unseen"
	case e.Signal != 0:
		return fmt.Sprintf("ended by signal %d (%s)", int(e.Signal), e.Signal)
	}
	return fmt.Sprintf("ended with exit code %d", e.Code)
}

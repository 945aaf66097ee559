package worker

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/towpath-cd/towpath/client"
	"github.com/towpath-cd/towpath/internal/executor"
)

const (
	// shellGrace is how long what runs in it may take to end by itself.
	shellGrace = 2 * time.Second
	// shellSaid is how long its last words may take to reach the server.
	shellSaid = 5 * time.Second
)

// Why a shell ends that did not by itself.
var (
	errShellIdle  = errors.New("nothing was typed")
	errShellAlone = errors.New("its person was gone")
)

// debugShell gives a person a shell in the place of the script, with all that the script would have.
func (a *attempt) debugShell(ctx context.Context) client.StepReport {
	a.output.say("a debug shell of " + a.lease.Debug.By + " stands in the place of the script")
	began := time.Now()
	result, err := a.runShell(ctx)
	if err != nil {
		return failure(ctx, err)
	}
	switch result.Outcome {
	case executor.Interrupted:
		return failure(ctx, context.Cause(ctx))
	case executor.BrokenOff:
		return failure(ctx, errors.New(result.Reason))
	}
	return client.StepReport{State: passed, ExitCode: result.ExitCode, Reason: fmt.Sprintf(
		"the debug shell of %s %s after %s", a.lease.Debug.By, result.Reason, time.Since(began).Round(time.Second))}
}

// runShell runs a shell where the script would run, with the same around it. The reason in its result says how it ended.
func (a *attempt) runShell(ctx context.Context) (executor.Result, error) {
	defer a.unreserve()
	home, err := a.home()
	if err != nil {
		return executor.Result{}, err
	}
	script := filepath.Join(a.room.scratch, "step-script")
	if err := os.WriteFile(script, []byte(a.lease.Debug.Script), 0o600); err != nil { // before the folder is anybody else's
		return executor.Result{}, fmt.Errorf("write the step's script: %w", err)
	}
	if err := a.handOver(); err != nil {
		return executor.Result{}, err
	}
	limited, cancel := executor.Limit(ctx, seconds(a.lease.Timeout))
	defer cancel()
	around, err := a.surround(limited, home)
	defer a.end(around)
	if err != nil {
		return executor.Result{}, err
	}
	more := map[string]string{
		"TERM": "xterm-256color", "TOWPATH_DEBUG": "true", "TOWPATH_SCRIPT": script,
		"HISTFILE": "", // what is typed is kept nowhere, least of all in a HOME that other steps have
	}
	maps.Copy(more, around.env)
	return newDebugShell(a).run(limited, around.way, executor.Script{
		Dir: a.room.workspace, Scratch: a.room.scratch, Env: a.variables(a.lease, a.room, home, more), Output: a.output,
		Timeout: seconds(a.lease.Timeout), Grace: shellGrace, Group: a.record.group, Started: a.startedIn,
	})
}

// debugShell is a shell under way, and the stream to the server by which its person reaches it.
type debugShell struct {
	*attempt
	session executor.Session
	printed chan []byte
	stop    context.CancelCauseFunc
	ended   chan client.ShellEnd

	mutex sync.Mutex
	idle  *time.Timer // ends it when nothing was typed
	alone *time.Timer // and when nobody is there
}

func newDebugShell(a *attempt) *debugShell {
	return &debugShell{attempt: a, printed: make(chan []byte), ended: make(chan client.ShellEnd, 1)}
}

// run has the shell run until it ends, or is ended by a clock or ctx.
func (s *debugShell) run(ctx context.Context, way executor.Executor, shell executor.Script) (executor.Result, error) {
	ctx, s.stop = context.WithCancelCause(ctx)
	defer s.stop(nil)
	var speaking sync.WaitGroup
	defer speaking.Wait()
	session, err := way.Open(ctx, shell)
	if err != nil {
		return executor.Result{}, fmt.Errorf("start a shell: %w", err)
	}
	s.session = session
	defer session.Close() // whatever still has its other end
	s.startClocks()
	defer s.stopClocks()
	streams, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	speaking.Go(s.read)
	said := make(chan struct{})
	speaking.Go(func() { defer close(said); s.speak(streams) })

	ended, err := session.Wait()
	result := s.judge(ctx, ended)
	s.ended <- client.ShellEnd{ExitCode: result.ExitCode, Reason: result.Reason}
	select {
	case <-said:
	case <-time.After(shellSaid):
	}
	if err != nil && result.Outcome == executor.Exited {
		s.log.Error("a debug shell's end was not clean", "step", s.lease.Step, "error", err)
	}
	return result, nil
}

// judge says how the shell ended, for people.
func (s *debugShell) judge(ctx context.Context, ended executor.Result) executor.Result {
	cause := context.Cause(ctx)
	result := executor.Result{Outcome: executor.Interrupted, ExitCode: -1}
	switch {
	case cause == nil:
		result = ended
		if result.Reason == "" {
			result.Reason = "exited"
		}
	case errors.Is(cause, errShellIdle):
		result.Outcome, result.Reason = executor.TimedOut, "ended because nothing was typed for "+executor.Words(seconds(s.lease.Debug.Idle))
	case errors.Is(cause, errShellAlone):
		result.Outcome, result.Reason = executor.TimedOut, "ended because its person was gone for "+executor.Words(s.ShellAlone)
	case errors.Is(cause, executor.ErrTimeout):
		result.Outcome, result.Reason = executor.TimedOut, "ended because a debug shell lasts no longer than "+executor.Words(seconds(s.lease.Timeout))
	default:
		result.Reason = "was ended: " + cause.Error()
	}
	return result
}

func (s *debugShell) startClocks() {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.idle = time.AfterFunc(seconds(s.lease.Debug.Idle), func() { s.stop(errShellIdle) })
	s.alone = time.AfterFunc(s.ShellAlone, func() { s.stop(errShellAlone) })
}

func (s *debugShell) stopClocks() {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.idle.Stop()
	s.alone.Stop()
}

// attached notes whether the person is there.
func (s *debugShell) attached(isThere bool) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.alone.Stop()
	if !isThere {
		s.alone.Reset(s.ShellAlone)
	}
}

// typed begins the idle time anew.
func (s *debugShell) typed() {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.idle.Reset(seconds(s.lease.Debug.Idle))
}

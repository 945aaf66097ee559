//go:build unix

package shell

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"

	"github.com/creack/pty"

	"github.com/towpath-cd/towpath/internal/executor"
	"github.com/towpath-cd/towpath/internal/process"
)

// session is a shell in a process group, and the person's end of its terminal.
type session struct {
	*os.File
	ctx     context.Context // tells an end of ours from its own
	running *process.Process
	explain func(executor.Result) executor.Result // may be nil
}

// Open starts a shell as executor.Executor says.
func (s Shell) Open(ctx context.Context, script executor.Script) (executor.Session, error) {
	spec, err := interactive(script)
	if err != nil {
		return nil, err
	}
	person, program, err := pty.Open()
	if err != nil {
		return nil, fmt.Errorf("open a terminal: %w", err)
	}
	spec.Stdin, spec.Stdout, spec.Stderr, spec.Terminal = program, program, program, true
	running, err := process.Start(ctx, spec)
	_ = program.Close()
	if err != nil {
		return nil, errors.Join(err, person.Close())
	}
	return begun(&session{File: person, ctx: ctx, running: running}, script), nil
}

// interactive prefers bash, whose lines can be edited.
func interactive(script executor.Script) (process.Spec, error) {
	program, err := exec.LookPath("bash")
	if err != nil {
		program, err = exec.LookPath("sh")
	}
	if err != nil {
		return process.Spec{}, errors.New("this worker has no shell")
	}
	return process.Spec{
		Path: program, Args: []string{program, "-i"}, Dir: script.Dir, Env: script.Env, Grace: script.Grace,
		Group: process.GroupOptions{Handle: script.Group, Interrupt: syscall.SIGHUP},
	}, nil
}

// begun is a session that has started.
func begun(s *session, script executor.Script) *session {
	if script.Started != nil {
		script.Started(s.running.Group())
	}
	_ = s.Resize(executor.FirstSize)
	return s
}

// Resize says how large the terminal is.
func (s *session) Resize(size executor.Size) error {
	return pty.Setsize(s.File, &pty.Winsize{Rows: size.Rows, Cols: size.Columns})
}

// Wait waits for the shell's end.
func (s *session) Wait() (executor.Result, error) {
	ended, err := s.running.Wait()
	result, err := judge(s.ctx, 0, ended, err)
	if s.explain != nil {
		result = s.explain(result)
	}
	return result, err
}

// Open starts a shell as executor.Executor says. Its terminal is one of the world that it is in.
func (c confined) Open(ctx context.Context, script executor.Script) (executor.Session, error) {
	spec, err := interactive(script)
	if err != nil {
		return nil, err
	}
	order := c.order(script, scriptFile{})
	order.Terminal = true
	start, err := c.Helper.Prepare(&spec, order)
	if err != nil {
		return nil, err
	}
	defer func() { _ = start.Close() }()
	running, err := process.Start(ctx, spec)
	if err != nil {
		return nil, err
	}
	err = start.Began()
	var person *os.File
	if err == nil {
		person, err = start.Terminal()
	}
	if err != nil {
		return nil, errors.Join(context.Cause(ctx), err, running.Stop(ctx, 0))
	}
	return begun(&session{File: person, ctx: ctx, running: running, explain: c.explained}, script), nil
}

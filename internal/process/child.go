package process

import (
	"errors"
	"os"
	"os/exec"
)

// child is a leader that we started.
type child struct{ cmd *exec.Cmd }

func (c *child) exited() { awaitExit(c.cmd.Process) }

func (c *child) reap() (Result, error) {
	err := c.cmd.Wait()
	if c.cmd.ProcessState == nil {
		return Result{ExitCode: -1, Unknown: true}, err
	}
	return resultOf(c.cmd.ProcessState), ignoreExit(err)
}

func (c *child) kill() { _ = c.cmd.Process.Kill() }

// ignoreExit drops the error that only repeats the exit status.
func ignoreExit(err error) error {
	if _, isStatus := errors.AsType[*exec.ExitError](err); isStatus {
		return nil
	}
	return err
}

func resultOf(state *os.ProcessState) Result {
	r := Result{ExitCode: state.ExitCode(), UserTime: state.UserTime(), SystemTime: state.SystemTime()}
	r.addPlatform(state)
	return r
}

package process

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"

	"github.com/towpath-cd/towpath/internal/deploy"
	proc "github.com/towpath-cd/towpath/internal/process"
	"github.com/towpath-cd/towpath/internal/supervise"
)

// Exec runs a command in the files of an instance, as the worker's user, as deploy.Exec says. A leash ends it where this
// process dies.
func (d *Driver) Exec(ctx context.Context, e deploy.Errand) (deploy.ErrandEnd, error) {
	if err := d.admit(ctx, e.Epoch); err != nil {
		return deploy.ErrandEnd{}, err
	}
	dir := d.home.filesOf(e.Instance.ID)
	if _, err := os.Stat(dir); err != nil {
		return deploy.ErrandEnd{}, &deploy.Permanent{Err: fmt.Errorf("the files of %s are not there: %w", e.Instance.ID, err)}
	}
	handle, err := proc.ReserveGroup()
	if err != nil {
		return deploy.ErrandEnd{}, &deploy.Retryable{Err: err}
	}
	release, err := proc.StartLeash(d.options.Leash, handle, e.Within+leashSlack)
	if err != nil {
		return deploy.ErrandEnd{}, &deploy.Retryable{Err: errors.Join(err, proc.KillGroup(handle))}
	}
	ended, err := d.runErrand(ctx, e, proc.Spec{
		Args: errandArguments(e.Command), Dir: dir, Env: d.errandEnv(e), Grace: deploy.ErrandGrace,
		Group: proc.GroupOptions{Handle: handle},
	})
	if left := release(); err == nil && left != nil {
		ended.Left = left.Error()
	}
	return ended, err
}

// errandEnv is what an instance of the release finds, but for the port and the address that are that one's.
func (d *Driver) errandEnv(e deploy.Errand) []string {
	env := supervise.Inherited()
	for name, value := range d.environment(e.Release, e.Instance.ID) {
		if name != "PORT" {
			env = append(env, name+"="+value)
		}
	}
	env = append(env, "TOWPATH_INSTANCE="+e.Instance.ID, "TOWPATH_RELEASE="+strconv.Itoa(e.Release.Number), "TOWPATH_EXEC="+e.ID)
	if e.Terminal != nil {
		env = append(env, "TERM=xterm-256color")
	}
	return env
}

// runErrand starts the command and waits for its end.
func (d *Driver) runErrand(ctx context.Context, e deploy.Errand, spec proc.Spec) (deploy.ErrandEnd, error) {
	if e.Terminal != nil {
		return runAtTerminal(ctx, e, spec)
	}
	theirs, ours, err := os.Pipe()
	if err != nil {
		return deploy.ErrandEnd{}, &deploy.Retryable{Err: err}
	}
	spec.Stdin, spec.Stdout, spec.Stderr = theirs, e.Stdout, e.Stderr
	running, err := proc.Start(ctx, spec)
	_ = theirs.Close() // the command has its own
	if err != nil {
		return deploy.ErrandEnd{}, &deploy.Permanent{Err: errors.Join(err, ours.Close())}
	}
	go func() {
		_, _ = io.Copy(ours, e.Stdin) // a command need not read what it is given
		_ = ours.Close()
	}()
	return endOf(running.Wait())
}

// endOf is the end of a command as a shell has it. That it was asked to end is no error: who asked knows.
func endOf(ended proc.Result, err error) (deploy.ErrandEnd, error) {
	end := deploy.ErrandEnd{ExitCode: ended.ExitCode}
	if ended.Signal != 0 {
		end.ExitCode = exitOfSignal + int(ended.Signal)
	}
	if errors.Is(err, proc.ErrLeftBehind) {
		end.Left = err.Error()
	}
	return end, nil
}

// leashSlack is how much later than a command's limit its leash ends it, should nobody else have done so.
const leashSlack = 2 * deploy.ErrandGrace

// exitOfSignal is what a shell adds to the number of the signal that ended a command.
const exitOfSignal = 128

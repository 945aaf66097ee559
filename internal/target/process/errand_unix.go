//go:build unix

package process

import (
	"context"
	"errors"
	"io"
	"syscall"

	"github.com/creack/pty"

	"github.com/towpath-cd/towpath/internal/deploy"
	proc "github.com/towpath-cd/towpath/internal/process"
)

// errandArguments has a shell look the command up, which says in its own words what it does not find.
func errandArguments(command []string) []string {
	return append([]string{"/bin/sh", "-c", `exec "$@"`, "towpath"}, command...)
}

// runAtTerminal runs a command at a terminal of its own.
func runAtTerminal(ctx context.Context, e deploy.Errand, spec proc.Spec) (deploy.ErrandEnd, error) {
	person, program, err := pty.Open()
	if err != nil {
		return deploy.ErrandEnd{}, &deploy.Retryable{Err: err}
	}
	resize := func(s deploy.TerminalSize) {
		_ = pty.Setsize(person, &pty.Winsize{Rows: uint16(s.Rows), Cols: uint16(s.Columns)}) //nolint:gosec // terminals count by 16 bits
	}
	resize(*e.Terminal)
	spec.Stdin, spec.Stdout, spec.Stderr, spec.Terminal = program, program, program, true
	spec.Group.Interrupt = syscall.SIGHUP
	running, err := proc.Start(ctx, spec)
	_ = program.Close()
	if err != nil {
		return deploy.ErrandEnd{}, &deploy.Permanent{Err: errors.Join(err, person.Close())}
	}
	printed := make(chan struct{})
	go func() { defer close(printed); _, _ = io.Copy(e.Stdout, person) }() // it ends with an error once nobody has the terminal
	go func() { _, _ = io.Copy(person, e.Stdin) }()
	sized := make(chan struct{})
	go func() {
		defer close(sized)
		for {
			select {
			case size := <-e.Resize:
				resize(size)
			case <-running.Done():
				return
			}
		}
	}()
	ended, err := endOf(running.Wait())
	<-printed
	<-sized
	_ = person.Close() // which ends what still types
	return ended, err
}

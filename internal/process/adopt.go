package process

import (
	"fmt"
	"syscall"
)

// Adopt takes over a process that somebody else started, with its group, as if it had been started here; only its
// exit status is unknown. The error is ErrGone when the process has ended.
func Adopt(id Identity, options GroupOptions) (*Process, error) {
	g, err := openGroup(options)
	if err != nil {
		return nil, err
	}
	watch, err := newWatch(id)
	if err != nil {
		return nil, fmt.Errorf("adopt process %d: %w", id.PID, err)
	}
	p := newProcess(options)
	p.identity, p.group = id, g
	p.leader = &adopted{id: id, watch: watch}
	go p.run()
	return p, nil
}

// adopted is a leader that is somebody else's child.
type adopted struct {
	id    Identity
	watch *watch
}

func (a *adopted) exited() { a.watch.wait() }

func (a *adopted) reap() (Result, error) {
	a.watch.close()
	return Result{ExitCode: -1, Unknown: true}, nil
}

func (a *adopted) kill() { _ = Signal(a.id, syscall.SIGKILL) }

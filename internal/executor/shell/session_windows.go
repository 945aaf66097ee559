package shell

import (
	"context"
	"fmt"

	"github.com/towpath-cd/towpath/internal/executor"
)

var errWindows = fmt.Errorf("%w: on Windows there are none so far; have the step ask for another worker (worker: linux)", executor.ErrNoTerminal)

// Open answers an executor.ErrNoTerminal.
func (s Shell) Open(context.Context, executor.Script) (executor.Session, error) {
	return nil, errWindows
}

// Open answers an executor.ErrNoTerminal.
func (c confined) Open(context.Context, executor.Script) (executor.Session, error) {
	return nil, errWindows
}

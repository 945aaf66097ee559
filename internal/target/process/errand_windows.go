package process

import (
	"context"
	"errors"

	"github.com/towpath-cd/towpath/internal/deploy"
	proc "github.com/towpath-cd/towpath/internal/process"
)

func errandArguments(command []string) []string { return command }

// runAtTerminal answers that there are no terminals.
func runAtTerminal(context.Context, deploy.Errand, proc.Spec) (deploy.ErrandEnd, error) {
	return deploy.ErrandEnd{}, &deploy.Permanent{Err: errors.New("on Windows a command has no terminal: leave --tty out")}
}

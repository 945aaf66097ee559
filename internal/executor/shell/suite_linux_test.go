package shell_test

import (
	"os"
	"testing"
	"time"

	"github.com/towpath-cd/towpath/internal/executor"
	"github.com/towpath-cd/towpath/internal/executor/executortest"
	"github.com/towpath-cd/towpath/internal/executor/shell"
)

func TestTheShellKeepsWhatAnExecutorPromises(t *testing.T) {
	executortest.Way{
		New:     func(*testing.T) executor.Executor { return shell.New() },
		Env:     []string{"PATH=" + os.Getenv("PATH")},
		Own:     []string{"TOWPATH_PROCESS_"},
		Timeout: 200 * time.Millisecond,
	}.Run(t)
}

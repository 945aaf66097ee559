package shell_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/towpath-cd/towpath/internal/confine"
	"github.com/towpath-cd/towpath/internal/executor"
	"github.com/towpath-cd/towpath/internal/executor/executortest"
	"github.com/towpath-cd/towpath/internal/executor/shell"
)

// helperVerb has this program be the helper of confined scripts.
const helperVerb = "be-the-helper"

// TestMain is also that helper.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == helperVerb {
		os.Exit(confine.Main())
	}
	os.Exit(m.Run())
}

// user is who confined scripts of these tests run as, which takes root.
const user = 200_000

func confinement(t *testing.T) shell.Confinement {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("scripts are confined by root only: run these tests as root")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return shell.Confinement{Helper: confine.Helper{self, helperVerb}, UID: user, GID: user}
}

func give(t *testing.T, script *executor.Script) {
	t.Helper()
	for _, dir := range []string{script.Dir, script.Scratch} {
		if err := errors.Join(os.Chown(dir, user, user), os.Chmod(filepath.Dir(dir), 0o711)); err != nil {
			t.Fatal(err)
		}
	}
}

func promisesOf(confinement shell.Confinement) executortest.Way {
	return executortest.Way{
		New:     func(*testing.T) executor.Executor { return shell.New().Confined(confinement) },
		Prepare: give,
		Env:     []string{"PATH=" + os.Getenv("PATH")},
		Own:     []string{"TOWPATH_PROCESS_"},
		Timeout: 2 * time.Second,
	}
}

func TestAUserOfItsOwnKeepsWhatAnExecutorPromises(t *testing.T) {
	promisesOf(confinement(t)).Run(t)
}

func TestAWorldOfItsOwnKeepsWhatAnExecutorPromises(t *testing.T) {
	c := confinement(t)
	c.World = &confine.World{}
	promisesOf(c).Run(t)
}

//go:build linux

package e2e_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// built is the folder with what the stories run: the shipped binary, and the application that they deploy.
var built string

func TestMain(m *testing.M) { os.Exit(run(m)) }

// builtBefore names the folder to a story that is told by this binary, run again.
const builtBefore = "E2E_BUILT"

func run(m *testing.M) int {
	if built = os.Getenv(builtBefore); built != "" {
		return m.Run()
	}
	folder, err := os.MkdirTemp("", "e2e-built-")
	if err == nil {
		built = folder
		defer os.RemoveAll(folder)
		err = os.Setenv(builtBefore, folder)
	}
	if err == nil {
		err = os.Chmod(folder, 0o755) // some stories run as somebody else
	}
	if err == nil {
		err = build(towpath(), "../cmd/towpath")
	}
	if err == nil {
		err = build(application(), "./testdata/app")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

func towpath() string     { return filepath.Join(built, "towpath") }
func application() string { return filepath.Join(built, "app") }

func build(into, what string) error {
	command := exec.Command("go", "build", "-ldflags=-s -w", "-o", into, what)
	if output, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("build %s: %w\n%s", what, err, output)
	}
	return nil
}

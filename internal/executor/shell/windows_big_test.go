//go:build linux && big

package shell_test

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestScriptsOnWindows has wine run the tests of this package that are Windows' own: what a script of cmd is given and gives
// back, and that nothing of it is left. PowerShell has only a stub there that does nothing, so that its scripts are tried
// nowhere so far.
func TestScriptsOnWindows(t *testing.T) {
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	prefix := filepath.Join(cache, "towpath-test", "wine")
	if _, err := os.Stat(filepath.Join(prefix, "drive_c", "windows", "system32", "bcryptprimitives.dll")); err != nil {
		t.Fatalf("there is no Windows to try: %v\ntools/wine/build makes one: a minute, and 1.6 GB", err)
	}
	folder := t.TempDir()
	program := filepath.Join(folder, "shell.test.exe")
	compile := exec.Command("go", "test", "-c", "-o", program, ".")
	compile.Env = append(os.Environ(), "GOOS=windows", "GOARCH=amd64", "CGO_ENABLED=0")
	if said, err := compile.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	wine := func(name string, args ...string) (string, error) {
		command := exec.CommandContext(ctx, filepath.Join("/usr/lib/wine", name), args...)
		command.Env = append(os.Environ(), "WINEPREFIX="+prefix, "WINEDEBUG=-all", "TOWPATH_TEST_FOLDER=Z:"+strings.ReplaceAll(folder, "/", `\`))
		said := new(bytes.Buffer)
		command.Stdout, command.Stderr = said, said
		err := command.Run()
		return said.String(), err
	}
	said, err := wine("wine64", program, "-test.v", "-test.timeout=4m")
	if passed := strings.Count(said, "--- PASS"); err != nil || passed < 8 {
		t.Errorf("%d tests passed, %v\n%s", passed, err, said)
	}
	if said, err := wine("wineserver64", "-w"); err != nil { // it ends when nobody is left, soon after
		t.Errorf("%v\n%s", err, said)
	}
}

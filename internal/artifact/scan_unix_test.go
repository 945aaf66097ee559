//go:build unix

package artifact_test

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/towpath-cd/towpath/internal/artifact"
)

func TestWhatCannotBeKeptIsRefusedByName(t *testing.T) {
	spoil := map[string]func(dir string) error{
		"pipe":     func(dir string) error { return syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600) },
		"absolute": func(dir string) error { return os.Symlink("/etc/passwd", filepath.Join(dir, "absolute")) },
		"outside":  func(dir string) error { return os.Symlink("../../x", filepath.Join(dir, "d", "outside")) },
		"winding":  func(dir string) error { return os.Symlink("d/e/../../..", filepath.Join(dir, "winding")) },
		"bad-\\xff": func(dir string) error {
			return os.WriteFile(filepath.Join(dir, "bad-\xff"), nil, 0o600)
		},
		"socket": func(dir string) error {
			l, err := net.Listen("unix", filepath.Join(dir, "socket"))
			if err == nil {
				t.Cleanup(func() { l.Close() })
			}
			return err
		},
	}
	for name, do := range spoil {
		dir := tree(t, map[string]string{"d/e/f": "x"})
		if err := do(dir); err != nil {
			t.Fatal(err)
		}
		_, err := artifact.Scan(t.Context(), artifact.Selection{Dir: dir})
		if !errors.Is(err, artifact.ErrUnsafe) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err := artifact.Scan(t.Context(), artifact.Selection{Dir: tree(t, many(5)), Limits: artifact.Limits{Entries: 4}})
	if !errors.Is(err, artifact.ErrTooLarge) {
		t.Errorf("five of four files: %v", err)
	}
}

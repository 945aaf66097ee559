//go:build linux

package fleet

import (
	"context"
	"errors"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"
)

// wordsLimit bounds what a failed test shows of each host, in bytes.
const wordsLimit = 4000

// Try runs a script on the host, by sh as root in /, and answers what it printed. It needs no network.
func (h *Host) Try(script string) (string, error) { return h.try(h.fleet.t.Context(), script) }

func (h *Host) try(ctx context.Context, script string) (string, error) {
	first, err := h.group.first()
	if err != nil {
		return "", err
	}
	c := command(ctx, "nsenter", "--target", path.Base(first), "--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup",
		"/bin/sh", "-c", script)
	c.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LANG=C.UTF-8"}
	c.WaitDelay = time.Second
	return output(c)
}

// Run is Try with a script that has to pass.
func (h *Host) Run(script string) string {
	h.fleet.t.Helper()
	said, err := h.Try(script)
	h.must("run "+script, err)
	return said
}

// Write writes a file on the host's disk, also while the host is down, and makes the folders above it.
func (h *Host) Write(path, content string, mode os.FileMode) {
	h.fleet.t.Helper()
	h.must("write "+path, h.write(path, content, mode))
}

func (h *Host) write(path, content string, mode os.FileMode) error {
	root, err := os.OpenRoot(h.disk.root) // links there lead nowhere else
	if err != nil {
		return err
	}
	defer root.Close()
	path = strings.TrimPrefix(path, "/")
	if err := root.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return errors.Join(root.WriteFile(path, []byte(content), mode), root.Chmod(path, mode))
}

// Read answers what is in a file on the host's disk, also while the host is down. Empty is also one that is not there.
func (h *Host) Read(path string) string {
	h.fleet.t.Helper()
	root, err := os.OpenRoot(h.disk.root)
	h.must("read "+path, err)
	defer root.Close()
	content, err := root.ReadFile(strings.TrimPrefix(path, "/"))
	if !errors.Is(err, os.ErrNotExist) {
		h.must("read "+path, err)
	}
	return string(content)
}

// readLink answers where a link on the host's disk leads; empty where there is none.
func (h *Host) readLink(path string) string {
	h.fleet.t.Helper()
	root, err := os.OpenRoot(h.disk.root)
	h.must("read "+path, err)
	defer root.Close()
	to, err := root.Readlink(strings.TrimPrefix(path, "/"))
	if !errors.Is(err, os.ErrNotExist) {
		h.must("read "+path, err)
	}
	return to
}

// Service makes systemd run a unit ("shop.service"), now and at every boot. The text is that of systemd.unit(5).
func (h *Host) Service(unit, text string) {
	h.fleet.t.Helper()
	h.Write("/etc/systemd/system/"+unit, text, 0o644)
	h.Run("systemctl daemon-reload && systemctl --quiet enable --now " + unit)
}

// Journal is what a unit has said since the host booted.
func (h *Host) Journal(unit string) string {
	h.fleet.t.Helper()
	return h.Run("journalctl --boot --no-pager --quiet --output=short-iso-precise --unit=" + unit)
}

// lastWords are the ends of the console and of the journal. The host may be down.
func (h *Host) lastWords(ctx context.Context) string {
	console, _ := os.ReadFile(h.console())
	journal, err := output(command(ctx, "journalctl", "--no-pager", "--quiet", "--directory="+h.disk.root+"/var/log/journal", "--lines=30"))
	if err != nil {
		journal = err.Error()
	}
	return string(console[max(0, len(console)-wordsLimit):]) + "\n" + journal[max(0, len(journal)-wordsLimit):]
}

//go:build linux

package fleet

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// group is the control group (version 2) that all processes of a host are in, so that they can be frozen and killed
// together, and so that no systemd takes another's services for its own.
type group struct {
	dir string
}

// newGroup is a host's below that of its place.
func newGroup(place, host string) group {
	root := "/sys/fs/cgroup"
	if _, err := os.Stat(filepath.Join(root, "cgroup.controllers")); err != nil {
		root = filepath.Join(root, "unified") // beside those of version 1
	}
	return group{filepath.Join(root, place, host)}
}

func (g group) make() error { return os.MkdirAll(g.dir, 0o755) }

// renew replaces a group whose processes were killed together: what is started in it later would be killed at once, as the
// kernel takes it for a child of one of those.
func (g group) renew() error {
	var folders []string
	err := filepath.WalkDir(g.dir, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() {
			folders = append(folders, path)
		}
		return err
	})
	for _, folder := range slices.Backward(folders) {
		err = errors.Join(err, os.Remove(folder))
	}
	return errors.Join(err, g.make())
}

func (g group) set(file string) error {
	return os.WriteFile(filepath.Join(g.dir, file), []byte("1"), 0)
}

func (g group) clear(file string) error {
	return os.WriteFile(filepath.Join(g.dir, file), []byte("0"), 0)
}

// says looks for a line of the group's events: "populated 1" while something runs in it.
func (g group) says(line string) bool {
	text, err := os.ReadFile(filepath.Join(g.dir, "cgroup.events"))
	return err == nil && slices.Contains(strings.Split(string(text), "\n"), line)
}

// first is the folder in /proc of the host's systemd.
func (g group) first() (string, error) {
	text, err := os.ReadFile(filepath.Join(g.dir, "payload/init.scope/cgroup.procs"))
	if err != nil {
		return "", err
	}
	pid, _, _ := strings.Cut(string(text), "\n")
	if pid == "" {
		return "", errors.New("no systemd runs")
	}
	return "/proc/" + pid, nil
}

// isListening says that something listens on a port where a process is (proc(5), /proc/net/tcp).
func isListening(process string, port int) bool {
	for _, table := range []string{"net/tcp", "net/tcp6"} {
		text, _ := os.ReadFile(filepath.Join(process, table))
		for line := range bytes.Lines(text) {
			if f := strings.Fields(string(line)); len(f) > 3 && strings.HasSuffix(f[1], fmt.Sprintf(":%04X", port)) && f[3] == "0A" {
				return true
			}
		}
	}
	return false
}

//go:build linux

package e2e_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
)

// running is a process as /proc shows it.
type running struct {
	pid         int
	commandLine string
	environment string
	folder      string
}

// processes lists all those that can be looked at.
func processes() []running {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	var found []running
	for _, entry := range entries {
		if pid, err := strconv.Atoi(entry.Name()); err == nil && pid != os.Getpid() {
			found = append(found, look(pid))
		}
	}
	return found
}

// look reads what there is of a process; one that ended meanwhile is all empty.
func look(pid int) running {
	folder := filepath.Join("/proc", strconv.Itoa(pid))
	read := func(name string) string {
		content, _ := os.ReadFile(filepath.Join(folder, name))
		return string(bytes.ReplaceAll(content, []byte{0}, []byte{' '}))
	}
	at, _ := os.Readlink(filepath.Join(folder, "cwd"))
	return running{pid: pid, commandLine: read("cmdline"), environment: read("environ"), folder: at}
}

// belongsTo says that the process was started for whoever works in the folder.
func (r running) belongsTo(root string) bool {
	for _, text := range []string{r.commandLine, r.environment, r.folder} {
		if bytes.Contains([]byte(text), []byte(root+"/")) {
			return true
		}
	}
	return false
}

func (r running) String() string { return fmt.Sprintf("%d %s in %s", r.pid, r.commandLine, r.folder) }

// leftIn lists the processes that belong to a folder.
func leftIn(root string) []running {
	var left []running
	for _, p := range processes() {
		if p.belongsTo(root) {
			left = append(left, p)
		}
	}
	return left
}

func killAll(left []running) {
	for _, p := range left {
		_ = syscall.Kill(p.pid, syscall.SIGKILL)
	}
}

package crash

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Process is one that belongs to the world.
type Process struct {
	PID  int
	Args []string
	env  string
}

// Name is what runs: "git", or the application's, or the verb of the binary.
func (p Process) Name() string {
	if len(p.Args) > 1 && filepath.Base(p.Args[0]) == "towpath" {
		return p.Args[1]
	}
	if len(p.Args) == 0 {
		return ""
	}
	return filepath.Base(p.Args[0])
}

// IsStep says that it was started by a step's script.
func (p Process) IsStep() bool { return strings.Contains(p.env, "\x00TOWPATH_STEP=") }

func (p Process) String() string { return strconv.Itoa(p.PID) + " " + strings.Join(p.Args, " ") }

// processes lists what belongs to the world, which needs Linux: whatever names its folder, or works in it.
func (w *World) processes() []Process {
	entries, _ := os.ReadDir("/proc")
	var found []Process
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		folder := filepath.Join("/proc", entry.Name())
		command, _ := os.ReadFile(filepath.Join(folder, "cmdline"))
		env, _ := os.ReadFile(filepath.Join(folder, "environ"))
		at, _ := os.Readlink(filepath.Join(folder, "cwd"))
		inside := []byte(w.Folder + "/")
		if bytes.Contains(command, inside) || bytes.Contains(env, inside) || strings.HasPrefix(at+"/", string(inside)) {
			found = append(found, Process{PID: pid, Args: strings.Split(strings.TrimRight(string(command), "\x00"), "\x00"), env: string(env)})
		}
	}
	return found
}

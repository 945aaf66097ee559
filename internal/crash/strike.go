package crash

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Victim is a kind of process that can be killed at any moment.
type Victim string

// The victims beside the programs. An instance is none: nobody promises that a request outlives what answers it.
const (
	Supervisor Victim = "supervisor"
	Git        Victim = "git"  // that the server or the worker runs
	Step       Victim = "step" // what a script has started, or its shell
)

// Victims are all of them, the programs first.
func Victims() []Victim {
	return []Victim{Victim(Server), Victim(Worker), Victim(Proxy), Supervisor, Git, Step}
}

// Strike kills one process of a kind, by SIGKILL; false where none runs at the moment.
func (w *World) Strike(v Victim, random *rand.Rand) bool {
	if program := Program(v); slices.Contains(Programs(), program) {
		return w.Kill(program)
	}
	var found []int
	switch v {
	case Supervisor:
		found = w.supervisors()
	case Git:
		found = w.ours(func(p Process) bool { return p.Name() == "git" })
	case Step:
		found = w.ours(Process.IsStep)
	}
	if len(found) == 0 {
		return false
	}
	return kill(found[random.IntN(len(found))]) == nil
}

func kill(pid int) error {
	process, err := os.FindProcess(pid)
	if err != nil {
		return err
	}
	return process.Kill()
}

func (w *World) supervisors() (found []int) {
	entries, err := w.Instances()
	if err != nil {
		return nil
	}
	for _, e := range entries {
		if e.Supervised {
			found = append(found, e.State.Supervisor.PID)
		}
	}
	return found
}

// ours are the processes that one of the programs has started, by whatever way. Those that the story has started itself,
// such as a push, are none.
func (w *World) ours(is func(Process) bool) (found []int) {
	var programs []int
	for _, g := range w.guards {
		programs = append(programs, g.pid())
	}
	for _, p := range w.processes() {
		if is(p) && slices.ContainsFunc(ancestors(p.PID), func(pid int) bool { return slices.Contains(programs, pid) }) {
			found = append(found, p.PID)
		}
	}
	return found
}

// ancestors are the processes above one, from the nearest on (proc_pid_stat(5), the fourth field).
func ancestors(pid int) (above []int) {
	for pid > 1 {
		text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
		if err != nil {
			return above
		}
		fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
		if len(fields) < 2 {
			return above
		}
		if pid, err = strconv.Atoi(fields[1]); err != nil {
			return above
		}
		above = append(above, pid)
	}
	return above
}

package process

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// marked is a group found again in /proc: by the session of its leader, by a variable in the environment that
// descendants inherit, and by descent. The variable's name is the group's own, so that groups can be nested.
type marked struct {
	name string
	// session is the leader's number while the leader is unreaped; 0 when it is not ours to reap.
	session int
}

func newMarked(name string) *marked { return &marked{name: name} }

func (m *marked) handle() string { return "marked:" + m.name }

func (m *marked) fallback() group { return nil }

func (m *marked) variable() string { return "TOWPATH_PROCESS_" + m.name }

func (m *marked) attach(cmd *exec.Cmd) (func(), error) {
	cmd.SysProcAttr = ownSession()
	cmd.Env = append(cmd.Environ(), m.variable()+"=1")
	return func() {}, nil
}

func (m *marked) started(leader *os.Process) error {
	m.session = leader.Pid
	return nil
}

func (m *marked) signal(signal syscall.Signal) error { return signalMembers(m.members, signal) }

func (m *marked) empty(limit time.Duration) bool {
	const pace = 10 * time.Millisecond
	for deadline := time.Now().Add(limit); ; {
		pids, err := m.members()
		if err == nil && len(pids) == 0 {
			return true
		}
		remaining := time.Until(deadline)
		if remaining <= 0 {
			return false
		}
		<-time.After(min(pace, remaining))
	}
}

// kill repeats until a look finds nobody: a member may have forked behind the back of the last one.
func (m *marked) kill() error {
	for deadline := time.Now().Add(killLimit); ; {
		pids, err := m.members()
		if err != nil {
			return fmt.Errorf("kill process group: %w", err)
		}
		if len(pids) == 0 {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%w: processes %v", ErrLeftBehind, pids)
		}
		if err := signalMembers(m.members, syscall.SIGKILL); err != nil {
			return fmt.Errorf("kill process group: %w", err)
		}
		m.empty(20 * time.Millisecond)
	}
}

// members lists the living processes of the group.
func (m *marked) members() ([]int, error) {
	numbers, err := processNumbers()
	if err != nil {
		return nil, err
	}
	parents := make(map[int]int, len(numbers))
	inside := make(map[int]bool)
	for _, pid := range numbers {
		s, err := readStat(pid)
		if err != nil || s.isDead() {
			continue
		}
		parents[pid] = s.parent
		if m.session != 0 && s.session == m.session || m.isMarked(pid) {
			inside[pid] = true
		}
	}
	return withDescendants(inside, parents), nil
}

func (m *marked) isMarked(pid int) bool {
	environment, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/environ")
	return err == nil && bytes.Contains(environment, []byte(m.variable()+"="))
}

// withDescendants adds every process below one that is inside, and returns them all.
func withDescendants(inside map[int]bool, parents map[int]int) []int {
	for grown := true; grown; {
		grown = false
		for pid, parent := range parents {
			if inside[parent] && !inside[pid] {
				inside[pid], grown = true, true
			}
		}
	}
	pids := make([]int, 0, len(inside))
	for pid := range inside {
		pids = append(pids, pid)
	}
	return pids
}

// stat is what we need of /proc/PID/stat (proc_pid_stat(5)).
type stat struct {
	state           byte
	parent, session int
	// start is in clock ticks since the machine started.
	start string
}

func (s stat) isDead() bool { return s.state == 'Z' || s.state == 'X' }

// readStat skips the command's name, which may itself hold blanks and brackets.
func readStat(pid int) (stat, error) {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return stat{}, err
	}
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	if len(fields) < 20 {
		return stat{}, fmt.Errorf("read stat of process %d: %d fields", pid, len(fields))
	}
	parent, _ := strconv.Atoi(fields[1])
	session, _ := strconv.Atoi(fields[3])
	return stat{state: fields[0][0], parent: parent, session: session, start: fields[19]}, nil
}

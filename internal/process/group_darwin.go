package process

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"
)

// pgroup is a process group, named by its leader's number.
type pgroup struct{ leader int }

func createGroup(GroupOptions) (group, error) { return &pgroup{}, nil }

// openGroup accepts "pgroup:0", a group that was reserved and never started.
func openGroup(options GroupOptions) (group, error) {
	kind, name, err := splitHandle(options.Handle)
	if err != nil {
		return nil, err
	}
	leader, err := strconv.Atoi(name)
	if err != nil || kind != "pgroup" {
		return nil, fmt.Errorf("process group %q: unknown kind", options.Handle)
	}
	return &pgroup{leader: leader}, nil
}

func (g *pgroup) handle() string { return "pgroup:" + strconv.Itoa(g.leader) }

func (g *pgroup) fallback() group { return nil }

func (g *pgroup) attach(cmd *exec.Cmd) (func(), error) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	return func() {}, nil
}

func (g *pgroup) started(leader *os.Process) error {
	g.leader = leader.Pid
	return nil
}

func (g *pgroup) signal(signal syscall.Signal) error {
	if g.leader <= 1 {
		return nil
	}
	return syscall.Kill(-g.leader, signal)
}

// empty takes EPERM for an end as well: it is what a group of nothing but zombies answers here.
func (g *pgroup) empty(limit time.Duration) bool {
	const pace = 10 * time.Millisecond
	for deadline := time.Now().Add(limit); ; {
		err := g.signal(0)
		if g.leader <= 1 || errors.Is(err, syscall.ESRCH) || errors.Is(err, syscall.EPERM) {
			return true
		}
		remaining := time.Until(deadline)
		if remaining <= 0 {
			return false
		}
		<-time.After(min(pace, remaining))
	}
}

func (g *pgroup) kill() error {
	_ = g.signal(syscall.SIGKILL)
	if !g.empty(killLimit) {
		return fmt.Errorf("%w: process group %d", ErrLeftBehind, g.leader)
	}
	return nil
}

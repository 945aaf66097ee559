//go:build linux

package e2e_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// stopLimit is how long a program may take to end once it is asked to.
const stopLimit = 30 * time.Second

// program is one start of the shipped binary.
type program struct {
	t       testing.TB
	name    string
	command *exec.Cmd
	log     string // file with all that it said
	exited  chan struct{}
}

// start runs the binary with nothing of the test's own environment but the path to programs.
func start(t testing.TB, name, root string, args ...string) *program {
	t.Helper()
	return startWith(t, name, root, nil, nil, args...)
}

// startWith adds to the program's environment, and may start it as another user.
func startWith(t testing.TB, name, root string, environ []string, as *syscall.SysProcAttr, args ...string) *program {
	t.Helper()
	log, err := os.CreateTemp(filepath.Join(root, "logs"), name+"-*")
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	p := &program{t: t, name: name, command: exec.Command(towpath(), args...), log: log.Name(), exited: make(chan struct{})}
	p.command.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + root, "XDG_DATA_HOME=" + root + "/share"}, environ...)
	p.command.Dir, p.command.Stdout, p.command.Stderr, p.command.SysProcAttr = root, log, log, as
	if err := p.command.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { _ = p.command.Wait(); close(p.exited) }()
	return p
}

// awaits waits until the program has said something.
func (p *program) awaits(what string) *program {
	p.t.Helper()
	until(p.t, p.name+" says "+what, func() bool {
		ended := p.isGone()
		if strings.Contains(p.said(), what) {
			return true
		}
		if ended {
			p.t.Fatalf("%s ended by itself:\n%s", p.name, p.said())
		}
		return false
	})
	return p
}

func (p *program) said() string {
	said, err := os.ReadFile(p.log)
	if err != nil {
		p.t.Error(err)
	}
	return string(said)
}

func (p *program) isGone() bool {
	select {
	case <-p.exited:
		return true
	default:
		return false
	}
}

// kill ends the program as a crash of the machine would.
func (p *program) kill() {
	_ = p.command.Process.Kill()
	<-p.exited
}

// stop asks the program to end, which it has to do cleanly.
func (p *program) stop() {
	if p == nil || p.isGone() {
		return
	}
	_ = p.command.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.exited:
	case <-time.After(stopLimit):
		p.t.Errorf("%s does not end within %s:\n%s", p.name, stopLimit, p.stacks())
		p.kill()
	}
	if code := p.command.ProcessState.ExitCode(); code != 0 && !p.t.Failed() {
		p.t.Errorf("%s ended with %d:\n%s", p.name, code, lastLines(p.said(), 20))
	}
}

// stacks has a program that hangs say where.
func (p *program) stacks() string {
	_ = p.command.Process.Signal(syscall.SIGQUIT)
	<-p.exited
	return lastLines(p.said(), 200)
}

// result waits for a verb that ends by itself, and answers its exit code with what it said.
func (p *program) result() (code int, said string) {
	p.t.Helper()
	select {
	case <-p.exited:
		return p.command.ProcessState.ExitCode(), p.said()
	case <-time.After(stopLimit):
		p.t.Fatalf("%s does not end:\n%s", p.name, p.stacks())
		return 0, ""
	}
}

func lastLines(text string, n int) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

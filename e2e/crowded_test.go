//go:build linux

package e2e_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// lone is a user of the system whom nobody else is, so that what counts against it is the story's alone.
const lone = 64_801

func TestAFullProcessTableFailsNothingForGood(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.runsAs(lone)
	s.startServer("--no-worker")
	s.startProxy()
	s.startWorker()
	repository := s.newRepository("app", short).watch()
	s.ends(1, "passed")
	traffic := s.asks()

	room := s.crowd(s.server)
	repository.push(tree{"version": "two"})
	until(t, "the server cannot look at the repository", s.server.isShort("polling failed"))
	room()
	s.revive()
	s.ends(2, "passed")

	room = s.crowd(s.worker)
	repository.push(tree{"version": "three"})
	s.reaches(3, "app", "running")
	until(t, "the worker cannot start the build", s.worker.isShort("no room for another process"))
	room()
	s.revive()
	s.ends(3, "passed")

	s.holds("hold")
	repository.push(tree{"version": "four", "towpath.yaml": withHeld(s.root + "/hold")})
	s.isHeld(4)
	room = s.crowd(s.worker)
	s.letsGo("hold")
	until(t, "the keeper cannot start an instance", s.worker.isShort("how=failed"))
	room()
	s.revive()
	s.ends(4, "passed")
	s.environment("live", "four", isLive(4))
	s.serves("four")
	s.flawless(traffic)
}

// isShort says that a program noticed that it cannot start another process: it says so, or has ended, as Go's runtime
// does where it gets no thread.
func (p *program) isShort(says string) func() bool {
	return func() bool { return p.isGone() || strings.Contains(p.said(), says) }
}

// revive starts again what has ended, as an init system does.
func (s *site) revive() {
	s.Helper()
	if s.server.isGone() {
		s.startServer("--no-worker")
	}
	if s.worker.isGone() {
		s.startWorker()
	}
}

// runsAs has whatever the site starts belong to another user, as only root can.
func (s *site) runsAs(user uint32) {
	s.Helper()
	for _, folder := range []string{s.root, filepath.Join(s.root, "logs")} {
		if err := os.Chown(folder, int(user), int(user)); err != nil {
			s.Fatalf("this story needs the right to be somebody else, as root has it: %v", err)
		}
	}
	s.user = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: user, Gid: user}}
}

// crowd has a program start no other, and no thread, until the answered function is called.
func (s *site) crowd(p *program) (room func()) {
	s.Helper()
	limit := func(most string) {
		s.Helper()
		command := exec.Command("prlimit", "--pid", strconv.Itoa(p.command.Process.Pid), "--nproc="+most+":")
		command.SysProcAttr = s.user // whose process it is
		if said, err := command.CombinedOutput(); err != nil && !p.isGone() {
			s.Fatalf("limit %s: %v\n%s", p.name, err, said)
		}
	}
	limit("1")
	return func() { limit("4096") }
}

//go:build linux

package e2e_test

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/towpath-cd/towpath/client"
)

func TestADatabaseThatCannotBeWrittenRefusesNewWorkAndLosesNothing(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.smallDisk(s.data, 64<<20)
	s.startServer("--no-worker")
	s.startWorker()
	s.holds("hold")
	repository := s.newRepository("app", tree{"towpath.yaml": `
pipeline: app
steps:
  - test: long
    run: |
      echo began
      while test -e ` + s.root + `/hold; do sleep 0.05; done
      echo ended
`}).watch()
	s.reaches(1, "long", "running")

	open := s.sealDatabase()
	s.refuses(func() error { _, err := s.api.StartRun(t.Context(), "app", client.StartRun{}); return err }, "unavailable")
	if _, err := s.api.Run(t.Context(), "app", 1); err != nil {
		t.Errorf("what is there cannot be read: %v", err)
	}
	repository.push(tree{"version": "pushed meanwhile"})
	s.letsGo("hold")
	told := s.alerted("storage", 1)[0]
	if !strings.Contains(told.Subject, "cannot be written") || !strings.Contains(told.Text, "read-only") {
		t.Errorf("the alert does not say what is wrong: %+v", told)
	}
	s.server.kill()
	code, said := s.start("server", "server", "--data", s.data, "--listen", s.address, "--no-worker").result()
	if code != 1 || !strings.Contains(said, "cannot be written") {
		t.Errorf("a server that cannot write ends with %d and says %q", code, said)
	}

	open()
	s.startServer("--no-worker")
	if attempts := stepOf(s.ends(1, "passed"), "long").Attempt; attempts != 1 {
		t.Errorf("the step ran %d times", attempts)
	}
	if text := s.log(1, "long", 0); text != "began\nended\n" {
		t.Errorf("the log is %q", text)
	}
	s.ends(2, "passed")
}

// sealDatabase has the kernel refuse every write to the server's database, also by who has it open, until the answered
// function is called.
func (s *site) sealDatabase() (open func()) {
	s.Helper()
	files, err := filepath.Glob(filepath.Join(s.data, "towpath.db*"))
	s.must(err)
	change := func(how string) {
		s.Helper()
		if said, err := exec.Command("chattr", append([]string{how}, files...)...).CombinedOutput(); err != nil {
			s.Fatalf("this story needs the right to seal files, as root has it: %v\n%s", err, said)
		}
	}
	change("+i")
	return func() { change("-i") }
}

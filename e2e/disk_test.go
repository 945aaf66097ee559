//go:build linux

package e2e_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/towpath-cd/towpath/client"
)

func TestAFullDiskRefusesNewWorkAndLosesNothing(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	repository := s.holdsAStep(`for i in $(seq 2000); do echo "line $i of a log that finds no room"; done`)
	room := s.fill(s.data)
	acknowledged := s.untilRefused()
	if _, err := s.api.Run(t.Context(), "app", 1); err != nil {
		t.Errorf("what is there cannot be read: %v", err)
	}
	s.refuses(func() error { _, err := s.api.StartRun(t.Context(), "app", client.StartRun{}); return err }, "unavailable")
	repository.push(tree{"version": "pushed meanwhile"})
	s.letsGo("hold") // now the step has more to say than there is room for
	told := s.alerted("storage", 1)[0]
	if !strings.Contains(told.Subject, "disk is full") || !strings.Contains(told.Text, "free some space") {
		t.Errorf("the alert does not say what to do: %+v", told)
	}

	room()
	s.ends(1, "passed")
	if text := s.log(1, "long", 0); strings.Count(text, "of a log that finds no room\n") != 2000 || !strings.HasSuffix(text, "ended\n") {
		t.Errorf("the log is not whole: %d bytes, to %q", len(text), lastLines(text, 1))
	}
	pushed := s.ends(2, "passed")
	if pushed.Title != "Version pushed meanwhile" {
		t.Errorf("run 2 is of %q", pushed.Title)
	}
	s.hasGroups(acknowledged)
	s.alerted("storage", 1)
}

func TestADatabaseThatCannotBeWrittenRefusesNewWorkAndLosesNothing(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	repository := s.holdsAStep("true")
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

// holdsAStep has a server on a small disk, and a step that waits to go on with something.
func (s *site) holdsAStep(goesOn string) *repository {
	s.Helper()
	s.smallDisk(s.data, 64<<20)
	s.startServer("--no-worker")
	s.startWorker()
	s.holds("hold")
	r := s.newRepository("app", tree{"towpath.yaml": `
pipeline: app
steps:
  - test: long
    run: |
      echo began
      while test -e ` + s.root + `/hold; do sleep 0.05; done
      ` + goesOn + `
      echo ended
`}).watch()
	s.reaches(1, "long", "running")
	until(s, "the script began", func() bool { text, _ := s.readLog(1, "long", 0); return strings.Contains(text, "began") })
	return r
}

// smallDisk makes a folder that is a disk of its own, in a file, as only root can.
func (s *site) smallDisk(at string, size int64) {
	s.Helper()
	image := at + ".disk"
	s.must(os.Mkdir(at, 0o700))
	s.must(os.WriteFile(image, nil, 0o600))
	s.must(os.Truncate(image, size))
	for _, command := range [][]string{{"mkfs.ext4", "-q", "-m", "0", "-E", "lazy_journal_init=1", image}, {"mount", "-o", "loop", image, at}} {
		if said, err := exec.Command(command[0], command[1:]...).CombinedOutput(); err != nil {
			s.Fatalf("this story needs %s and the right to mount a small disk, as root has it: %v\n%s", command[0], err, said)
		}
	}
	s.disks = append(s.disks, at)
}

// fill leaves no room on the disk at a folder, until the answered function is called.
func (s *site) fill(folder string) (room func()) {
	s.Helper()
	path := filepath.Join(folder, "ballast")
	ballast, err := os.Create(path)
	s.must(err)
	defer ballast.Close()
	for offset, size := int64(0), int64(1)<<30; size > 0; {
		if syscall.Fallocate(int(ballast.Fd()), 0, offset, size) != nil {
			size /= 2
			continue
		}
		offset += size
	}
	return func() { s.must(os.Remove(path)) }
}

// untilRefused makes groups until there is no room for another, and answers how many were acknowledged.
func (s *site) untilRefused() (acknowledged int) {
	s.Helper()
	until(s, "new work is refused", func() bool {
		_, err := s.api.PutGroup(s.Context(), client.Group{Name: fmt.Sprintf("group-%d", acknowledged)})
		if err == nil {
			acknowledged++
			return false
		}
		s.refuses(func() error { return err }, "unavailable")
		if !strings.Contains(err.Error(), "disk is full") {
			s.Errorf("refused with %q", err)
		}
		return true
	})
	return acknowledged
}

func (s *site) hasGroups(count int) {
	s.Helper()
	groups, err := s.api.Groups(s.Context())
	s.must(err)
	known := map[string]bool{}
	for _, g := range groups {
		known[g.Name] = true
	}
	for n := range count {
		if name := fmt.Sprintf("group-%d", n); !known[name] {
			s.Errorf("%s was acknowledged and is lost", name)
		}
	}
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

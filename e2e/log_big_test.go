//go:build linux && big

package e2e_test

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

// bounded is how much memory a server or a worker may ever have had, whatever a script prints, in kB.
const bounded = 150_000

func TestALineOfFourGiBCostsOnlyItself(t *testing.T) {
	s := openSite(t)
	s.newRepository("app", tree{"towpath.yaml": `
pipeline: app
steps:
  - test: long
    run: |
      echo before
      head -c 4294967296 /dev/zero | tr '\0' x
      echo; echo after
`}).watch()
	began := time.Now()
	s.ends(1, "passed")
	t.Logf("it took %s", time.Since(began).Round(time.Second))
	text := s.log(1, "long", 0)
	if len(text) > 1_000_200 || !strings.HasPrefix(text, "before\nxxx") ||
		!strings.HasSuffix(text, "x … 4.29 GB of this line not kept: a line is limited to 1 MB\nafter\n") {
		t.Errorf("%d bytes, to %q", len(text), text[max(0, len(text)-100):])
	}
	for name, of := range map[string]*program{"server": s.server, "worker": s.worker} {
		most, err := mostMemory(of.command.Process.Pid)
		if err != nil || most > bounded {
			t.Errorf("the %s had %d kB of memory, %v", name, most, err)
		}
		t.Logf("the %s had at most %d kB", name, most)
	}
}

// mostMemory is the most that a process ever had, in kB (proc_pid_status(5), VmHWM).
func mostMemory(pid int) (kilobytes int, err error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	_, after, _ := bytes.Cut(status, []byte("VmHWM:"))
	_, err = fmt.Fscanf(bytes.NewReader(after), "%d", &kilobytes)
	return kilobytes, err
}

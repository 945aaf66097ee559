package worker_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// onSmallDisk gives the worker a disk of its own, which only root can make.
func (s *site) onSmallDisk(size string) {
	s.t.Helper()
	if err := syscall.Mount("tmpfs", s.data, "tmpfs", 0, "size="+size); err != nil {
		s.t.Fatalf("this story needs the right to mount a small disk, as root has it: %v", err)
	}
	s.t.Cleanup(func() {
		if err := syscall.Unmount(s.data, syscall.MNT_DETACH); err != nil {
			s.t.Error(err)
		}
	})
}

const fill = `head -c 100M /dev/zero >"$TOWPATH_WORKSPACE/ballast" 2>/dev/null || true; `

func TestWhatFindsNoRoomOnTheDiskIsMissingAndTold(t *testing.T) {
	s := newSite(t)
	s.onSmallDisk("8m")
	s.start(s.options())
	report, log := s.result(s.step(`echo before; ` + fill + `for i in $(seq 3000); do echo "line $i"; done; sleep 0.2; ` +
		`rm "$TOWPATH_WORKSPACE/ballast"; sleep 0.2; echo after`))
	if report.State != "passed" || !strings.HasPrefix(log, "before\n") || !strings.HasSuffix(log, "\nafter\n") {
		t.Fatalf("%+v\n%s", report, log)
	}
	if !strings.Contains(log, "kB not kept: ") || !strings.Contains(log, "no space left on device") {
		t.Errorf("it does not say what is missing:\n%s", log)
	}
}

func TestALogWhoseEndFindsNoRoomSaysSo(t *testing.T) {
	s := newSite(t)
	s.onSmallDisk("8m")
	s.start(s.options())
	const lines = `for i in $(seq 3000); do echo "line $i"; done; `
	ballast, more := filepath.Join(s.data, "ballast"), filepath.Join(s.data, "more")
	report, log := s.result(s.step(`echo before; head -c 100M /dev/zero >` + ballast + ` 2>/dev/null || true; ` + lines + `head -c 100M /dev/zero >` + more + ` 2>/dev/null || true; ` + lines + `exit 3`))
	if report.ExitCode != 3 || report.LogSize != int64(len(log)) {
		t.Fatalf("%+v", report)
	}
	if !strings.HasSuffix(log, " kB not kept: the worker's disk: no space left on device\ntowpath: exited with status 3\n") {
		t.Errorf("%d bytes that end with\n%s", len(log), log[max(0, len(log)-300):])
	}
	if err := errors.Join(os.Remove(ballast), os.Remove(more)); err != nil {
		t.Fatal(err)
	}
	for range 3 { // one of them takes the spool over
		if report, log = s.result(s.step(`echo again`)); report.State != "passed" || log != "again\n" {
			t.Errorf("a later step: %+v, %q", report, log)
		}
	}
}

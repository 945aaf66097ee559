package worker_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/towpath-cd/towpath/internal/confine"
	"github.com/towpath-cd/towpath/internal/worker"
)

// levels are all of them, each with the options of a worker of a site.
var levels = map[confine.Level]func(s *site) worker.Options{
	confine.None:       (*site).options,
	confine.User:       func(s *site) worker.Options { return s.apart(confine.User) },
	confine.Namespaces: func(s *site) worker.Options { return s.apart(confine.Namespaces) },
}

// shortly leaves one of them to a short test.
func shortly(all map[confine.Level]func(s *site) worker.Options) map[confine.Level]func(s *site) worker.Options {
	if !testing.Short() {
		return all
	}
	return map[confine.Level]func(s *site) worker.Options{confine.Namespaces: all[confine.Namespaces]}
}

// hostile are scripts that do what nobody should, until they are stopped. Whatever they start has the word $0.
var hostile = map[string]string{
	"prints without end":              `echo began; yes "$0"`,
	"ignores every signal":            `trap '' TERM INT HUP QUIT USR1 USR2; echo began; while :; do sleep 1; done`,
	"hides from whoever looks for it": `(setsid env -i PATH="$PATH" sh -c '(setsid sh -c "while :; do sleep 1; done" '"$0"' &) & wait; echo began; while :; do sleep 1; done' "$0" &); while :; do sleep 1; done`,
}

func TestWhateverAStepDoesItCostsOnlyItself(t *testing.T) {
	for level, options := range shortly(levels) {
		for what, script := range hostile {
			t.Run(string(level)+"/"+what, func(t *testing.T) {
				s := newSite(t)
				o := options(s)
				o.Grace = 50 * time.Millisecond
				s.start(o)
				word := "hostile-" + filepath.Base(s.repository) + filepath.Base(filepath.Dir(s.repository)) + "-" + filepath.Base(filepath.Dir(s.data))
				l := s.step(`exec sh -c "$HOSTILE" ` + word)
				l.Env, l.LogLimit = map[string]string{"HOSTILE": script}, 1e6
				ref := s.offer(l)
				s.awaitLog(ref, "began")
				if report, _ := s.result(s.step("cat greeting | cat")); report.State != "passed" {
					t.Errorf("its neighbour: %+v", report)
				}
				if len(called(t, word)) == 0 {
					t.Error("nothing of it is to be seen while it runs")
				}
				s.stop(ref, "enough")
				if report := s.awaitReport(ref); report.State != "canceled" {
					t.Errorf("%+v", report)
				}
				if left := called(t, word); len(left) > 0 {
					t.Errorf("still there: %q", left)
				}
			})
		}
	}
}

// called lists the command lines on this machine, in whatever namespace, that hold a word.
func called(t *testing.T, word string) (lines []string) {
	t.Helper()
	paths, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no processes are to be seen: %v", err)
	}
	for _, path := range paths {
		line, _ := os.ReadFile(path) // one that has ended holds nothing
		if bytes.Contains(line, []byte(word)) {
			lines = append(lines, strings.ReplaceAll(string(line), "\x00", " "))
		}
	}
	return lines
}

func TestAStepThatFillsTheDiskLeavesRoomForTheNext(t *testing.T) {
	for level, options := range shortly(levels) {
		t.Run(string(level), func(t *testing.T) {
			s := newSite(t)
			s.onSmallDisk("16m")
			o := options(s)
			if err := os.Chmod(s.data, 0o755); err != nil {
				t.Fatal(err)
			}
			o.MinFree = 8e6
			s.start(o)
			for range 2 {
				report, log := s.result(s.step(`head -c 100M /dev/zero >"$TMPDIR/ballast"`))
				if report.State != "failed" || !strings.Contains(log, "No space left on device") && !strings.Contains(log, "no space left on device") {
					t.Errorf("%+v\n%s", report, log)
				}
			}
			if report, log := s.result(s.step("cat greeting")); report.State != "passed" || log != "hello from the repository\n" {
				t.Errorf("the next one: %+v\n%s", report, log)
			}
		})
	}
}

func TestAStepDoesNotOutliveItsKilledWorkerByMuch(t *testing.T) {
	onEachLevel(t, func(t *testing.T, level confine.Level) {
		s := newSite(t)
		o := s.apart(level)
		word := "outliving-" + filepath.Base(filepath.Dir(s.data))
		kill := s.killable("TOWPATH_TEST_ISOLATION=" + string(level))
		l := s.step(`(setsid env -i PATH="$PATH" sh -c 'while :; do sleep 1; done' ` + word + ` &); echo ready; while :; do sleep 1; done`)
		ref := s.offer(l)
		s.awaitLog(ref, "ready")
		kill()
		eventually(t, "the daemon of the killed worker's step", func() bool { return len(called(t, word)) > 0 })
		s.start(o)
		eventually(t, "nothing of it runs", func() bool { return len(called(t, word)) == 0 })
		s.awaitLog(ref, "ready\ntowpath: the worker was killed while this step ran\n")
		if report, _ := s.result(s.step("true")); report.State != "passed" {
			t.Errorf("the next one: %+v", report)
		}
	})
}

package worker_test

import (
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"testing"

	"github.com/towpath-cd/towpath/client"
	"github.com/towpath-cd/towpath/internal/confine"
	"github.com/towpath-cd/towpath/internal/worker"
)

// place is where a worker has its steps run.
type place struct {
	options  func(s *site) worker.Options
	inside   *client.Container // nil: the worker's own shell
	killable []string          // what a worker is told by variables that is to be killed
	isEmpty  func(t *testing.T, s *site)
}

// own is a place in the worker's own shell, at a level.
func own(level confine.Level) place {
	return place{options: levels[level], killable: []string{"TOWPATH_TEST_ISOLATION=" + string(level)}, isEmpty: func(*testing.T, *site) {}}
}

// step is one in the place.
func (p place) step(s *site, script string) *client.StepLease {
	l := s.step(script)
	l.Inside, l.Timeout = p.inside, 300
	return l
}

func TestADebugShellHasWhatTheScriptWouldHave(t *testing.T) {
	for level := range shortly(levels) {
		t.Run(string(level), func(t *testing.T) { shellIsAsTheScript(t, own(level)) })
	}
}

func TestADebugShellDoesNotOutliveItsKilledWorkerByMuch(t *testing.T) {
	for level := range shortly(levels) {
		t.Run(string(level), func(t *testing.T) { shellOfTheKilledIsGone(t, own(level)) })
	}
}

// rights is a script that says who it is, and what it can read and write.
func rights(s *site) string {
	return fmt.Sprintf(`id -u; id -G; grep -E '^(NoNewPrivs|CapInh|CapPrm|CapEff|CapBnd):' /proc/self/status
(ls -A %[1]s 2>/dev/null || echo closed) | cat
for place in %[1]s %[1]s/leases %[1]s/mirrors / /etc /usr /tmp /var/tmp /dev/shm "$HOME" "$TMPDIR" .; do test -w "$place" && echo writable || echo not; done
wc -l </proc/net/dev; echo end of rights
`, s.data)
}

func shellIsAsTheScript(t *testing.T, p place) {
	heard := make(chan os.Signal, 1) // as the program does; tests may run where control-C is ignored, which children inherit
	signal.Notify(heard, os.Interrupt)
	t.Cleanup(func() { signal.Stop(heard) })
	s := newSite(t)
	options := p.options(s)
	options.Slots = 1
	s.start(options)
	script := rights(s)
	_, says := s.result(p.step(s, script))
	if !strings.HasSuffix(says, "end of rights\n") {
		t.Fatal(says)
	}
	word := "shell-" + filepath.Base(filepath.Dir(s.data))
	v := s.visits()
	l := p.step(s, "echo it is never run; exit 9")
	l.Secrets, l.SecretFiles = map[string]string{"TOKEN": "hunter2-forever"}, map[string]string{"KEY": keyFile}
	ref := v.opens(l, script)
	v.types("PS1=; echo of $TOWPATH_STEP $TOKEN; cat greeting; wc -l <$KEY; sh $TOWPATH_SCRIPT; tty\n")
	v.sees("of step 2 hunter2-forever\r\nhello from the repository\r\n4\r\n" + strings.ReplaceAll(says, "\n", "\r\n") + "/dev/")
	v.says(client.ShellMessage{Size: &client.ShellSize{Rows: 33, Columns: 77}})
	v.types("while test \"$(stty size)\" != '33 77'; do sleep 0.1; done; echo resi''zed\n")
	v.sees("resized\r\n")
	v.types("sh -c 'echo wait\"\"ing; exec sleep 1000'\n")
	v.sees("waiting\r\n")
	v.types("\x03")
	v.types("echo interrupted $?\n")
	v.sees("interrupted 130\r\n")
	v.stream.Cut()
	v.meets()
	v.types("(setsid sh -c 'echo be\"\"gan; while :; do sleep 1; done' " + word + " &)\n")
	v.sees("began\r\n")
	if len(called(t, word)) == 0 {
		t.Error("nothing of it is to be seen while it runs")
	}
	v.types("echo back''again; touch left; exit 7\n")
	v.sees("backagain\r\n")
	if end := v.ends(); end.ExitCode != 7 || end.Reason != "exited with status 7" {
		t.Errorf("%+v", end)
	}
	report, log := s.awaitReport(ref), s.logOf(ref)
	if report.State != "passed" || !strings.HasPrefix(report.Reason, "the debug shell of ada exited with status 7 after ") || len(report.Artifacts) > 0 {
		t.Errorf("%+v", report)
	}
	if want := "towpath: a debug shell of ada stands in the place of the script\ntowpath: " + report.Reason + "\n"; log != want {
		t.Errorf("the log is %q, want %q", log, want)
	}
	if left := called(t, word); len(left) > 0 {
		t.Errorf("still there: %q", left)
	}
	if _, log := s.result(p.step(s, "ls")); log != "greeting\n" {
		t.Errorf("the next step finds %q", log)
	}
	p.isEmpty(t, s)
}

func shellOfTheKilledIsGone(t *testing.T, p place) {
	s := newSite(t)
	options := p.options(s)
	word := "killed-" + filepath.Base(filepath.Dir(s.data))
	kill := s.killable(p.killable...)
	v := s.visits()
	v.opens(p.step(s, "exit 9"), "")
	v.types("trap '' HUP; (setsid sh -c 'echo be\"\"gan; while :; do sleep 1; done' " + word + " &)\n")
	v.sees("began\r\n")
	kill()
	s.start(options)
	eventually(t, "nothing of it runs", func() bool { return len(called(t, word)) == 0 })
	if report, _ := s.result(p.step(s, "true")); report.State != "passed" {
		t.Errorf("the next one: %+v", report)
	}
	p.isEmpty(t, s)
}

// TestADebugShellThatUsesTooMuchSaysSo has a shell run into the limits of its world.
func TestADebugShellThatUsesTooMuchSaysSo(t *testing.T) {
	s := newSite(t)
	s.start(s.apart(confine.Namespaces))
	v := s.visits()
	v.opens(s.step("exit 9"), "")
	v.types("head -c 300M /dev/zero | tail >/dev/null; echo sur''vived; exit 3\n")
	v.sees("survived\r\n")
	if end := v.ends(); !strings.HasPrefix(end.Reason, "exited with status 3; ") || !strings.Contains(end.Reason, "100 MB") {
		t.Errorf("%+v", end)
	}
}

//go:build unix

package worker_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/towpath-cd/towpath/internal/worker"
)

// keyFile is a secret of several lines.
const keyFile = "-----BEGIN KEY-----\nfirst-line-of-a-key\nsecond-line-of-a-key\n-----END KEY-----\n"

func TestAStepSeesItsCheckoutAndItsLogIsDelivered(t *testing.T) {
	s := working(t)
	report, log := s.result(s.step("cat greeting; git log --format=%s; git status --porcelain; pwd | sed 's|.*/||'"))
	if report.State != "passed" || report.ExitCode != 0 || report.Reason != "" {
		t.Errorf("%+v", report)
	}
	if want := "hello from the repository\ngreeting\nshop\n"; log != want {
		t.Errorf("log %q, want %q", log, want)
	}
}

func TestAStepThatFailsSaysWhyInItsLastLine(t *testing.T) {
	s := working(t)
	tests := []struct {
		script, shell, reason string
		code                  int
	}{
		{script: "exit 2", reason: "exited with status 2", code: 2},
		{script: "printf half; false; echo never", reason: "exited with status 1", code: 1},
		{script: "false | cat", reason: "exited with status 1", code: 1},
		{script: "no-such-command", reason: "exited with status 127 (a command was not found)", code: 127},
		{script: "kill -KILL $$", reason: "killed by signal 9 (out of memory?)", code: -1},
		{script: "true", shell: "fish --no", reason: `this worker has no shell "fish"`, code: -1},
		{script: "exit 5", shell: "sh", reason: "exited with status 5", code: 5},
		{script: "BEGIN { exit 4 }", shell: "awk -f", reason: "exited with status 4", code: 4},
	}
	for _, tt := range tests {
		t.Run(tt.script+tt.shell, func(t *testing.T) {
			l := s.step(tt.script)
			l.Shell = tt.shell
			report, log := s.result(l)
			if report.State != "failed" || report.Reason != tt.reason || report.ExitCode != tt.code {
				t.Errorf("%+v", report)
			}
			if !strings.HasSuffix("\n"+log, "\ntowpath: "+tt.reason+"\n") {
				t.Errorf("log ends %q", log)
			}
		})
	}
}

func TestAStepThatTakesTooLongIsEndedWithEverythingItStarted(t *testing.T) {
	s := working(t)
	file := filepath.Join(t.TempDir(), "pid")
	l := s.step("sleep 1000 & echo $! >" + file + "; echo waiting; wait")
	l.Timeout = 0.3
	report, log := s.result(l)
	if report.State != "failed" || report.Reason != "timed out after 300ms" {
		t.Errorf("%+v", report)
	}
	if !strings.HasPrefix(log, "waiting\n") || !strings.HasSuffix(log, "towpath: timed out after 300ms\n") {
		t.Errorf("log %q", log)
	}
	mustBeGone(t, file)
}

func TestAStoppedStepIsAskedToEndAndReportedAsCanceled(t *testing.T) {
	s := working(t)
	ref := s.offer(s.step("trap 'echo cleaning up; exit 0' TERM; echo ready; while :; do sleep 0.02; done"))
	s.awaitLog(ref, "ready")
	s.stop(ref, "canceled by Ada")
	report := s.awaitReport(ref)
	if report.State != "canceled" || report.Reason != "canceled by Ada" {
		t.Errorf("%+v", report)
	}
	if log := s.logOf(ref); !strings.HasSuffix(log, "cleaning up\ntowpath: canceled by Ada\n") {
		t.Errorf("log %q", log)
	}
}

func TestAnAttemptThatWasGivenToAnotherEndsWithoutAReport(t *testing.T) {
	s := newSite(t)
	end := s.start(s.options())
	file := filepath.Join(t.TempDir(), "pid")
	ref := s.offer(s.step("echo $$ >" + file + "; echo ready; sleep 1000"))
	s.awaitLog(ref, "ready")
	s.giveToAnother(ref)
	awaitGone(t, file)
	if err := end(worker.ErrDrain); err != nil {
		t.Error(err)
	}
	if s.attempts[ref].report != nil {
		t.Error("reported all the same")
	}
	mustBeEmpty(t, filepath.Join(s.data, "leases"), filepath.Join(s.data, "work"), filepath.Join(s.data, "trash"))
}

func TestWhatAStepLeavesBehindIsKilled(t *testing.T) {
	s := working(t)
	file := filepath.Join(t.TempDir(), "pid")
	report, _ := s.result(s.step("(setsid sleep 1000 & echo $! >" + file + ")"))
	if report.State != "passed" {
		t.Errorf("%+v", report)
	}
	mustBeGone(t, file)
}

func TestAServerThatIsAwayForAWhileLosesNothing(t *testing.T) {
	s := newSite(t)
	s.start(s.options())
	gate := filepath.Join(t.TempDir(), "gate")
	ref := s.offer(s.step("for i in $(seq 1000); do echo line $i; done; while ! test -e " + gate +
		"; do sleep 0.01; done; for i in $(seq 1001 60000); do echo line $i; done; exit 3"))
	s.awaitLog(ref, "line 1000\n")
	s.goAway()
	release(t, gate)
	awaitReports(t, s.data, 1)
	s.comeBack()
	if report := s.awaitReport(ref); report.State != "failed" || report.ExitCode != 3 {
		t.Errorf("%+v", report)
	}
	var want strings.Builder
	for i := range 60000 {
		fmt.Fprintf(&want, "line %d\n", i+1)
	}
	want.WriteString("towpath: exited with status 3\n")
	if log := s.logOf(ref); log != want.String() {
		t.Errorf("%d bytes of %d", len(log), want.Len())
	}
}

func TestAServerThatLostTheEndOfALogGetsItAgain(t *testing.T) {
	s := newSite(t)
	s.start(s.options())
	gate := filepath.Join(t.TempDir(), "gate")
	ref := s.offer(s.step("echo one; echo two; while ! test -e " + gate + "; do sleep 0.01; done; echo three"))
	s.awaitLog(ref, "two\n")
	s.forget(ref, 2)
	release(t, gate)
	if report := s.awaitReport(ref); report.State != "passed" || s.logOf(ref) != "one\ntwo\nthree\n" {
		t.Errorf("%+v, log %q", report, s.logOf(ref))
	}
}

func TestEveryStepFindsItsWorkspaceAsIfItWereNew(t *testing.T) {
	s := newSite(t)
	everyWorkspaceIsNew(s, s.options())
}

func everyWorkspaceIsNew(s *site, options worker.Options) {
	t := s.t
	options.Slots = 1
	s.start(options)
	const look = "; cat greeting; git status --porcelain --ignored; git tag; ls -A $TMPDIR; pwd | sed 's|.*/work|work|'\n"
	want := "hello from the repository\nwork/1/shop\n"
	for _, trace := range []string{
		"true", "touch added; mkdir -p deep/er; touch deep/er/x $TMPDIR/x", "echo changed >greeting",
		"git tag mine; git config core.bare true", "rm -rf .git greeting", "git rm -q greeting", "chmod 600 greeting",
	} {
		if _, log := s.result(s.step(look[2:] + trace)); log != want {
			t.Errorf("before %q: %q", trace, log)
		}
	}
	s.commit("more", "x")
	if _, log := s.result(s.step(look[2:] + "ls; git log -1 --format=%s; rm more")); log != want+"greeting\nmore\nmore\n" {
		t.Errorf("at the next revision: %q", log)
	}
	l := s.step("ls; git log -1 --format=%s")
	l.Trusted = true
	if _, log := s.result(l); log != "greeting\nmore\nmore\n" {
		t.Errorf("of a protected branch: %q", log)
	}
}

// TestStepsFollowEachOtherInTheSameRecord has steps with long and short logs, outputs and failures in turn: none finds
// anything of the one before it.
func TestStepsFollowEachOtherInTheSameRecord(t *testing.T) {
	s := working(t)
	scripts := []string{"seq 20000; echo name=one >$TOWPATH_OUTPUT", "echo short", "true", "echo failed; exit 3", "echo last"}
	for n, script := range scripts {
		report, log := s.result(s.step(script))
		want := map[int]string{1: "short\n", 2: "", 3: "failed\ntowpath: exited with status 3\n", 4: "last\n"}
		if n > 0 && (log != want[n] || len(report.Outputs) > 0 || report.LogSize != int64(len(log))) {
			t.Errorf("%q gave %+v and the log %q", script, report, log)
		}
		if failed := report.State == "failed"; failed != (n == 3) {
			t.Errorf("%q gave %+v", script, report)
		}
	}
	records, err := os.ReadDir(filepath.Join(s.data, "leases"))
	if err != nil || len(records) == len(scripts) { // more than one, as a step may come before the last one is settled
		t.Errorf("%d records, %v", len(records), err)
	}
}

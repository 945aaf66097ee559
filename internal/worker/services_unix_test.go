//go:build unix

package worker_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/towpath-cd/towpath/client"
)

// beside is a step with a command beside it, which writes its process into a file and is ready then.
func (s *site) beside(script, file string) *client.StepLease {
	l := s.step(script)
	l.Services = []client.Service{{
		Name: "the-db", Command: "echo $$ >" + file + ".new; mv " + file + ".new " + file + "; while :; do sleep 0.02; done",
		Ready: client.Ready{Command: "test -e " + file}, Within: 60,
	}}
	return l
}

func TestACommandBesideAStepLivesAsLongAsTheStep(t *testing.T) {
	s := working(t)
	file := filepath.Join(t.TempDir(), "pid")
	l := s.beside("kill -0 $(cat "+file+"); echo $TOWPATH_SERVICE_THE_DB_HOST ${DB_MODE-}; exit 3", file)
	l.Services[0].Env = map[string]string{"DB_MODE": "the service's own"}
	l.Services[0].Command = `test "$DB_MODE" = "the service's own"; ` + l.Services[0].Command
	if report, log := s.result(l); report.ExitCode != 3 || !strings.HasPrefix(log, "127.0.0.1\n") {
		t.Errorf("%+v\n%s", report, log)
	}
	mustBeGone(t, file)
	mustBeEmpty(t, filepath.Join(s.data, "beside"))
}

func TestACommandBesideAStepEndsWithTheStepsInterrupt(t *testing.T) {
	s := working(t)
	file := filepath.Join(t.TempDir(), "pid")
	ref := s.offer(s.beside("echo ready; sleep 1000", file))
	s.awaitLog(ref, "ready")
	s.stop(ref, "canceled by Ada")
	if report := s.awaitReport(ref); report.State != "canceled" {
		t.Errorf("%+v", report)
	}
	mustBeGone(t, file)
}

func TestAStepThatEndsBeforeItsServicesAreReadyLeavesNothing(t *testing.T) {
	s := working(t)
	file := filepath.Join(t.TempDir(), "pid")
	l := s.beside("echo never", file)
	l.Services[0].Ready.Command, l.Timeout = "test -e "+file+" && false", 3
	if report, log := s.result(l); report.State != "failed" || report.Reason != "timed out after 3s" || strings.Contains(log, "never") {
		t.Errorf("%+v\n%s", report, log)
	}
	mustBeGone(t, file)
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	l = s.beside("echo never", file)
	l.Services[0].Ready.Command = "false"
	ref := s.offer(l)
	pidIn(t, file)
	s.stop(ref, "canceled by Ada")
	if report := s.awaitReport(ref); report.State != "canceled" || report.Reason != "canceled by Ada" {
		t.Errorf("%+v", report)
	}
	mustBeGone(t, file)
}

func TestACommandBesideAStepThatFailsTellsWhatItPrinted(t *testing.T) {
	s := working(t)
	for _, tt := range []struct{ command, ready, reason, log string }{
		{
			"echo no disk; exit 3", "false", "service the-db: it exited with status 3 before it was ready",
			"the-db | no disk\ntowpath: service the-db: it exited with status 3 before it was ready\n",
		},
		{
			"echo waiting >&2; sleep 1000", "echo nothing yet; false",
			"service the-db: it was not ready within 3s: exited with status 1: nothing yet", "the-db | waiting\n",
		},
	} {
		l := s.beside("echo never", "unused")
		l.Services[0].Command, l.Services[0].Ready.Command, l.Services[0].Within = tt.command, tt.ready, 3
		report, log := s.result(l)
		if report.State != "failed" || report.Reason != tt.reason || !strings.HasPrefix(log, tt.log) {
			t.Errorf("%s: %+v\n%s", tt.command, report, log)
		}
	}
}

func TestACommandBesideAStepThatDiesIsTold(t *testing.T) {
	s := working(t)
	file := filepath.Join(t.TempDir(), "pid")
	l := s.beside("kill -KILL $(cat "+file+"); while kill -0 $(cat "+file+") 2>/dev/null; do sleep 0.02; done", file)
	l.Services[0].Command = "echo my last word; " + l.Services[0].Command
	want := "towpath: service the-db killed by signal 9 (out of memory?) while the step ran\nthe-db | my last word\n"
	if report, log := s.result(l); report.State != "passed" || log != want {
		t.Errorf("%+v\n%s", report, log)
	}
}

func TestAKilledWorkersCommandBesideAStepIsEnded(t *testing.T) {
	s := newSite(t)
	file := filepath.Join(t.TempDir(), "pid")
	kill := s.killable()
	ref := s.offer(s.beside("echo ready; sleep 1000", file))
	s.awaitLog(ref, "ready")
	kill()
	mustLive(t, file)
	s.start(s.options())
	awaitGone(t, file)
	eventually(t, "nothing is written down any more", func() bool {
		left, err := os.ReadDir(filepath.Join(s.data, "beside"))
		return err == nil && len(left) == 0
	})
}

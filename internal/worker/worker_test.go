//go:build unix

package worker_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/towpath-cd/towpath/client"
	"github.com/towpath-cd/towpath/internal/confine"
	"github.com/towpath-cd/towpath/internal/executor/kubernetes"
	"github.com/towpath-cd/towpath/internal/worker"
)

// helperVerb has this program be the helper of steps that are kept apart.
const helperVerb = "be-the-helper"

// TestMain is also that helper, and the worker of the test that kills one.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == helperVerb {
		os.Exit(confine.Main())
	}
	address := os.Getenv("TOWPATH_TEST_WORKER")
	if address == "" {
		os.Exit(outsideOfMemory(m.Run))
	}
	c, err := client.New(address, "key")
	options := worker.Options{
		Client: c, DataDir: os.Getenv("TOWPATH_TEST_DATA"), MinFree: -1,
		Isolation: isolationAt(confine.Level(os.Getenv("TOWPATH_TEST_ISOLATION"))),
	}
	if file := os.Getenv("TOWPATH_TEST_KUBECONFIG"); file != "" && err == nil {
		options.Kubernetes, err = kubernetes.Open(kubernetes.Settings{Kubeconfig: file})
	}
	if err == nil {
		err = worker.Run(context.Background(), options)
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// outsideOfMemory runs tests whose files are on a disk: a step that is kept apart has a /dev/shm of its own, in which a workspace
// of the worker's would not be seen.
func outsideOfMemory(run func() int) int {
	if strings.HasPrefix(os.TempDir(), "/dev/shm") {
		if err := os.Setenv("TMPDIR", "/tmp"); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	return run()
}

// isolationAt is what a worker is told of a level. Its limits are small enough to be met.
func isolationAt(level confine.Level) worker.Isolation {
	return worker.Isolation{
		Level: level, Users: confine.DefaultUsers(), Helper: confine.Helper{os.Args[0], helperVerb},
		Limits: confine.Limits{Memory: 100e6, Processes: 60},
	}
}

func TestSlotsBoundTheStepsAtATime(t *testing.T) {
	s := working(t)
	dir := t.TempDir()
	script := "touch " + dir + "/$$; ls " + dir + " | wc -l; sleep 0.05; rm " + dir + "/$$"
	var refs []client.LeaseRef
	for range 6 {
		refs = append(refs, s.offer(s.step(script)))
	}
	for _, ref := range refs {
		s.awaitReport(ref)
		if n, err := strconv.Atoi(strings.TrimSpace(s.logOf(ref))); err != nil || n > 2 {
			t.Errorf("%d steps at a time (%v)", n, err)
		}
	}
}

func TestTheNextStepIsAskedForWhileTheLastOneIsReported(t *testing.T) {
	s := newSite(t)
	asked := make(chan struct{})
	s.hold = func() { <-asked }
	options := s.options()
	options.Slots = 1
	s.start(options)
	ref := s.offer(s.step("echo done"))
	s.until("the one slot is free before the report is taken", func() bool { return s.polls == 2 })
	close(asked)
	if report := s.awaitReport(ref); report.State != "passed" || s.logOf(ref) != "done\n" {
		t.Errorf("%+v, %q", report, s.logOf(ref))
	}
	if report, _ := s.result(s.step("exit 3")); report.ExitCode != 3 {
		t.Errorf("%+v", report)
	}
}

func TestADrainingWorkerFinishesWhatRunsAndTakesNothingNew(t *testing.T) {
	s := newSite(t)
	end := s.start(s.options())
	gate := filepath.Join(t.TempDir(), "gate")
	ref := s.offer(s.step("echo ready; while ! test -e " + gate + "; do sleep 0.01; done; echo done"))
	s.awaitLog(ref, "ready")
	ended := make(chan error, 1)
	go func() { ended <- end(worker.ErrDrain) }()
	s.until("the second slot asks", func() bool { return s.polls >= 2 })
	release(t, gate)
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if report := s.awaitReport(ref); report.State != "passed" {
		t.Errorf("%+v", report)
	}
	s.until("the server has seen the poll's end", func() bool { return s.asking == 0 })
	s.offer(s.step("true"))
	if len(s.waiting) != 1 {
		t.Error("a drained worker took a step")
	}
}

func TestAStoppedWorkerInterruptsItsStepsAndLeavesThemToBeFoundLost(t *testing.T) {
	s := newSite(t)
	end := s.start(s.options())
	file := filepath.Join(t.TempDir(), "pid")
	ref := s.offer(s.step("echo $$ >" + file + "; echo ready; sleep 1000"))
	s.awaitLog(ref, "ready")
	if err := end(errors.New("SIGTERM")); err != nil {
		t.Error(err)
	}
	mustBeGone(t, file)
	if s.attempts[ref].report != nil || s.logOf(ref) != "ready\ntowpath: the worker was stopped\n" {
		t.Errorf("log %q", s.logOf(ref))
	}
	mustBeEmpty(t, filepath.Join(s.data, "leases"), filepath.Join(s.data, "work"), filepath.Join(s.data, "trash"))
}

func TestAReportThatCouldNotBeDeliveredIsDeliveredByTheNextWorker(t *testing.T) {
	s := newSite(t)
	end := s.start(s.options())
	gate := filepath.Join(t.TempDir(), "gate")
	script := "echo ready; while ! test -e " + gate + "; do sleep 0.01; done; echo done"
	ref, taken := s.offer(s.step(script)), s.offer(s.step(script))
	s.awaitLog(ref, "ready")
	s.awaitLog(taken, "ready")
	s.goAway()
	release(t, gate)
	awaitReports(t, s.data, 2)
	if err := end(nil); err != nil {
		t.Fatal(err)
	}
	s.giveToAnother(taken)
	s.comeBack()
	s.start(s.options())
	if report := s.awaitReport(ref); report.State != "passed" || s.logOf(ref) != "ready\ndone\n" {
		t.Errorf("%+v, log %q", report, s.logOf(ref))
	}
	eventually(t, "no record is left", func() bool { return recorded(s.data, "lease.json") == 0 })
}

// killable starts a worker on the site's data folder as a process of its own, with more in its environment, and answers how to
// kill it.
func (s *site) killable(more ...string) (kill func()) {
	s.t.Helper()
	process := exec.Command(os.Args[0])
	process.Env = slices.Concat(os.Environ(), []string{"TOWPATH_TEST_WORKER=" + s.url(), "TOWPATH_TEST_DATA=" + s.data}, more)
	process.Stderr = os.Stderr
	if err := process.Start(); err != nil {
		s.t.Fatal(err)
	}
	return func() {
		s.t.Helper()
		if err := process.Process.Kill(); err != nil {
			s.t.Fatal(err)
		}
		_ = process.Wait()
	}
}

func TestAKilledWorkerLeavesNothingRunningAfterItsRestart(t *testing.T) {
	s := newSite(t)
	file := filepath.Join(t.TempDir(), "pid")
	kill := s.killable()
	ref := s.offer(s.step("(setsid sleep 1000 & echo $! >" + file + "); echo ready; sleep 1000"))
	s.awaitLog(ref, "ready")
	kill()
	mustLive(t, file)
	s.start(s.options())
	awaitGone(t, file)
	s.awaitLog(ref, "ready\ntowpath: the worker was killed while this step ran\n")
	if report, _ := s.result(s.step("true")); report.State != "passed" {
		t.Errorf("%+v", report)
	}
	if s.attempts[ref].report != nil {
		t.Error("the killed step was reported")
	}
}

func TestASecondWorkerOnTheSameFolderIsRefused(t *testing.T) {
	s := working(t)
	s.result(s.step("true"))
	if err := worker.Run(t.Context(), s.options()); !errors.Is(err, worker.ErrInUse) {
		t.Errorf("got %v", err)
	}
}

func TestAWorkerThatTheServerDoesNotKnowGivesUp(t *testing.T) {
	s := newSite(t)
	s.removed = true
	if err := worker.Run(t.Context(), s.options()); !errors.Is(err, worker.ErrRemoved) {
		t.Errorf("got %v", err)
	}
}

func TestNoStepIsTakenWhileTheDiskIsNearlyFull(t *testing.T) {
	s := newSite(t)
	options := s.options()
	told := make(chan string, 100)
	options.Logger = slog.New(slog.NewTextHandler(lineChannel(told), nil))
	options.MinFree = 1 << 62
	s.start(options)
	for line := range told {
		if strings.Contains(line, "disk is nearly full") {
			break
		}
	}
	s.offer(s.step("true"))
	if s.polls != 0 {
		t.Error("asked for a step")
	}
}

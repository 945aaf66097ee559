package worker_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/towpath-cd/towpath/client"
	"github.com/towpath-cd/towpath/internal/process"
	"github.com/towpath-cd/towpath/internal/worker"
)

// site is a server, a repository and a worker's data folder.
type site struct {
	*server
	repository string
	revision   string
	data       string
	steps      int
}

func newSite(t testing.TB) *site {
	t.Helper()
	s := &site{server: newServer(t), repository: filepath.Join(t.TempDir(), "shop"), data: t.TempDir()}
	if err := os.Mkdir(s.repository, 0o755); err != nil {
		t.Fatal(err)
	}
	s.git("init", "-q", "-b", "main")
	s.commit("greeting", "hello from the repository\n")
	return s
}

func (s *site) git(args ...string) string {
	s.t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir = s.repository
	cmd.Env = append(os.Environ(), "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL="+os.DevNull,
		"GIT_AUTHOR_NAME=Ada", "GIT_AUTHOR_EMAIL=ada@example.com",
		"GIT_COMMITTER_NAME=Ada", "GIT_COMMITTER_EMAIL=ada@example.com")
	out, err := cmd.CombinedOutput()
	if err != nil {
		s.t.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

func (s *site) commit(file, content string) {
	s.t.Helper()
	if err := os.WriteFile(filepath.Join(s.repository, file), []byte(content), 0o644); err != nil {
		s.t.Fatal(err)
	}
	s.git("add", "-A")
	s.git("commit", "-q", "-m", file)
	s.revision = s.git("rev-parse", "HEAD")
}

// step is a lease of a script, which a test may change before it offers it.
func (s *site) step(script string) *client.StepLease {
	s.steps++
	return &client.StepLease{
		LeaseRef: client.LeaseRef{Run: "run-1", Step: "step " + strconv.Itoa(s.steps), Attempt: 1},
		Kind:     "build", Project: "shop", Pipeline: "shop", RunNumber: 7, Repository: s.repository,
		Revision: s.revision, Branch: "main", Author: "Ada", AuthorEmail: "ada@example.com", Message: "begin",
		Script: script, Timeout: 60, RenewEvery: 0.02,
	}
}

// result runs a step to its end.
func (s *site) result(l *client.StepLease) (client.StepReport, string) {
	s.t.Helper()
	ref := s.offer(l)
	return s.awaitReport(ref), s.logOf(ref)
}

func (s *site) options() worker.Options {
	c, err := client.New(s.url(), "key")
	if err != nil {
		s.t.Fatal(err)
	}
	return worker.Options{
		Client: c, DataDir: s.data, Version: "test", Slots: 2, MinFree: -1, Grace: 5 * time.Second,
		PassEnv: []string{"LANG"}, StopLimit: time.Second,
		Logger: slog.New(slog.NewTextHandler(testWriter{s.t}, &slog.HandlerOptions{Level: slog.LevelInfo})),
	}
}

type testWriter struct{ t testing.TB }

func (w testWriter) Write(p []byte) (int, error) {
	w.t.Log(strings.TrimSpace(string(p)))
	return len(p), nil
}

// start runs a worker until the test ends, or until end is called.
func (s *site) start(options worker.Options) (end func(cause error) error) {
	s.t.Helper()
	ctx, cancel := context.WithCancelCause(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- worker.Run(ctx, options) }()
	var err error
	done := false
	end = func(cause error) error {
		cancel(cause)
		if !done {
			err, done = <-ended, true
		}
		return err
	}
	s.t.Cleanup(func() {
		_ = end(nil)
		options.Client.Close()
	})
	return end
}

func working(t *testing.T) *site {
	t.Helper()
	s := newSite(t)
	s.start(s.options())
	return s
}

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
	awaitFile(t, filepath.Join(s.data, "leases"), "report.json")
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

func TestSecretsAreMaskedAlsoAcrossWrites(t *testing.T) {
	s := newSite(t)
	s.start(s.options())
	gate := filepath.Join(t.TempDir(), "gate")
	l := s.step("echo begin; printf 'key is hunter'; while ! test -e " + gate +
		`; do sleep 0.01; done; printf '2-forever!\n'; printf %s "$TOKEN" | base64; printf hunter; exit 1`)
	l.Secrets = map[string]string{"TOKEN": "hunter2-forever"}
	ref := s.offer(l)
	s.awaitLog(ref, "key is")
	release(t, gate)
	report := s.awaitReport(ref)
	if want, log := "begin\nkey is ***!\n***\nhunter\ntowpath: exited with status 1\n", s.logOf(ref); log != want {
		t.Errorf("log %q, want %q (%+v)", log, want, report)
	}
}

func TestASecretIsNotWrittenToTheWorkersDisk(t *testing.T) {
	s := working(t)
	l := s.step(`echo "$TOKEN" >>"$TOWPATH_WORKSPACE/kept"; grep -rl "$TOKEN" ` + s.data)
	l.Secrets = map[string]string{"TOKEN": "hunter2-forever"}
	if report, log := s.result(l); log != s.data+"/work/1/shop/kept\n" {
		t.Errorf("found in %q (%+v)", log, report)
	}
}

func TestOutputsAreReported(t *testing.T) {
	s := working(t)
	report, _ := s.result(s.step(`echo version=1.2=3 >>"$TOWPATH_OUTPUT"; printf '\nurl=\r\nversion=2' >>"$TOWPATH_OUTPUT"`))
	if report.State != "passed" || len(report.Outputs) != 2 || report.Outputs["version"] != "2" || report.Outputs["url"] != "" {
		t.Errorf("%+v", report)
	}
}

func TestOutputsThatCannotBeReadFailTheStep(t *testing.T) {
	s := working(t)
	tests := []struct{ script, reason string }{
		{`printf 'good=1\nno equals sign\n' >"$TOWPATH_OUTPUT"`, `TOWPATH_OUTPUT: line 2 is not name=value: "no equals sign"`},
		{`echo "a b=1" >"$TOWPATH_OUTPUT"`, `TOWPATH_OUTPUT: line 1 is not name=value: "a b=1"`},
		{`head -c 300000 /dev/zero | tr '\0' x >"$TOWPATH_OUTPUT"`,
			"TOWPATH_OUTPUT: more than 262144 bytes; keep large things as artifacts"},
		{`echo "token=$TOKEN" >"$TOWPATH_OUTPUT"`,
			"TOWPATH_OUTPUT: token holds a secret, and outputs are shown to everyone"},
	}
	for _, tt := range tests {
		l := s.step(tt.script)
		l.Secrets = map[string]string{"TOKEN": "hunter2-forever"}
		if report, _ := s.result(l); report.State != "failed" || report.Reason != tt.reason || report.Outputs != nil {
			t.Errorf("%s gave %+v", tt.script, report)
		}
	}
}

func TestAScriptSeesWhatItIsToldAndNothingElse(t *testing.T) {
	t.Setenv("LANG", "C.UTF-8")
	t.Setenv("OPERATORS_OWN", "private")
	s := working(t)
	l := s.step(`env | grep -v -e ^PATH= -e ^PWD= -e ^SHLVL= -e ^_= -e ^TOWPATH_PROCESS_ | sort`)
	l.Message, l.Environment, l.URL = "$(touch /tmp/x)", "staging", "http://127.0.0.1:8000"
	l.Env, l.Secrets = map[string]string{"MODE": "fast"}, map[string]string{"TOKEN": "hunter2-forever"}
	l.Outputs = map[string]string{"TOWPATH_OUT_BUILD_VERSION": "2"}
	_, log := s.result(l)
	work := filepath.Join(s.data, "work", "1")
	home, err := filepath.Glob(filepath.Join(s.data, "homes", "shop-*", "others"))
	if err != nil || len(home) != 1 {
		t.Fatal(home, err)
	}
	want := strings.Join([]string{
		"CI=true", "HOME=" + home[0], "LANG=C.UTF-8", "MODE=fast", "TMPDIR=" + work + "/.towpath/tmp", "TOKEN=***",
		"TOWPATH=true", "TOWPATH_ATTEMPT=1", "TOWPATH_AUTHOR=Ada", "TOWPATH_AUTHOR_EMAIL=ada@example.com",
		"TOWPATH_BRANCH=main", "TOWPATH_ENVIRONMENT=staging", "TOWPATH_MESSAGE=$(touch /tmp/x)",
		"TOWPATH_OUTPUT=" + work + "/.towpath/outputs", "TOWPATH_OUT_BUILD_VERSION=2", "TOWPATH_PIPELINE=shop",
		"TOWPATH_PROJECT=shop", "TOWPATH_REVISION=" + s.revision, "TOWPATH_RUN=7", "TOWPATH_RUN_ID=run-1",
		"TOWPATH_STEP=step 1", "TOWPATH_URL=http://127.0.0.1:8000", "TOWPATH_WORKSPACE=" + work + "/shop",
	}, "\n") + "\n"
	if log != want {
		t.Errorf("got\n%swant\n%s", log, want)
	}
}

func TestHomeIsKeptForThePipelineButNotAcrossTrust(t *testing.T) {
	s := working(t)
	run := func(trusted, clean bool) string {
		l := s.step(`ls ~; touch ~/"$TOWPATH_STEP"`)
		l.Trusted, l.Clean = trusted, clean
		_, log := s.result(l)
		return log
	}
	for i, got := range []string{run(true, false), run(true, false), run(false, false), run(true, true), run(true, true)} {
		want := ""
		if i == 1 {
			want = "step 1\n"
		}
		if got != want {
			t.Errorf("step %d found %q, want %q", i+1, got, want)
		}
	}
}

func TestARevisionThatDoesNotExistFailsTheStep(t *testing.T) {
	s := working(t)
	l := s.step("true")
	l.Revision = strings.Repeat("1", 40)
	if report, log := s.result(l); report.State != "failed" || !strings.Contains(log, "not found") {
		t.Errorf("%+v\n%s", report, log)
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
	awaitFile(t, filepath.Join(s.data, "leases"), "report.json")
	if err := end(nil); err != nil {
		t.Fatal(err)
	}
	s.giveToAnother(taken)
	s.comeBack()
	s.start(s.options())
	if report := s.awaitReport(ref); report.State != "passed" || s.logOf(ref) != "ready\ndone\n" {
		t.Errorf("%+v, log %q", report, s.logOf(ref))
	}
	eventually(t, "no record is left", func() bool {
		entries, err := os.ReadDir(filepath.Join(s.data, "leases"))
		return err == nil && len(entries) == 0
	})
}

func TestAKilledWorkerLeavesNothingRunningAfterItsRestart(t *testing.T) {
	s := newSite(t)
	file := filepath.Join(t.TempDir(), "pid")
	killed := exec.Command(os.Args[0])
	killed.Env = append(os.Environ(), "TOWPATH_TEST_WORKER="+s.url(), "TOWPATH_TEST_DATA="+s.data)
	killed.Stderr = os.Stderr
	if err := killed.Start(); err != nil {
		t.Fatal(err)
	}
	ref := s.offer(s.step("(setsid sleep 1000 & echo $! >" + file + "); echo ready; sleep 1000"))
	s.awaitLog(ref, "ready")
	if err := killed.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = killed.Wait()
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

// TestMain is also the worker of the test that kills one.
func TestMain(m *testing.M) {
	address := os.Getenv("TOWPATH_TEST_WORKER")
	if address == "" {
		os.Exit(m.Run())
	}
	c, err := client.New(address, "key")
	if err == nil {
		err = worker.Run(context.Background(), worker.Options{Client: c, DataDir: os.Getenv("TOWPATH_TEST_DATA"), MinFree: -1})
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

type lineChannel chan string

func (c lineChannel) Write(p []byte) (int, error) {
	c <- string(p)
	return len(p), nil
}

func release(t *testing.T, gate string) {
	t.Helper()
	if err := os.WriteFile(gate, nil, 0o600); err != nil {
		t.Fatal(err)
	}
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.NewTimer(20 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-deadline.C:
			t.Fatalf("never: %s", what)
		case <-tick.C:
		}
	}
}

// awaitFile waits until every folder in dir holds a file of that name.
func awaitFile(t *testing.T, dir, name string) {
	t.Helper()
	eventually(t, name+" in "+dir, func() bool {
		folders, _ := os.ReadDir(dir)
		found, _ := filepath.Glob(filepath.Join(dir, "*", name))
		return len(found) > 0 && len(found) == len(folders)
	})
}

func pidIn(t *testing.T, file string) int {
	t.Helper()
	var pid int
	eventually(t, file+" names a process", func() bool {
		text, _ := os.ReadFile(file)
		pid, _ = strconv.Atoi(strings.TrimSpace(string(text)))
		return pid > 0
	})
	return pid
}

func isGone(pid int) bool {
	_, err := process.Of(pid)
	return errors.Is(err, process.ErrGone) || errors.Is(syscall.Kill(pid, 0), syscall.ESRCH)
}

func mustBeGone(t *testing.T, file string) {
	t.Helper()
	if pid := pidIn(t, file); !isGone(pid) {
		t.Errorf("process %d lives on", pid)
	}
}

func mustLive(t *testing.T, file string) {
	t.Helper()
	if pid := pidIn(t, file); isGone(pid) {
		t.Errorf("process %d died too early", pid)
	}
}

func awaitGone(t *testing.T, file string) {
	t.Helper()
	pid := pidIn(t, file)
	eventually(t, fmt.Sprintf("process %d is gone", pid), func() bool { return isGone(pid) })
}

func mustBeEmpty(t *testing.T, dirs ...string) {
	t.Helper()
	for _, dir := range dirs {
		if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
			t.Errorf("%s holds %v (%v)", dir, entries, err)
		}
	}
}

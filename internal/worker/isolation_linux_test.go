package worker_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/towpath-cd/towpath/internal/confine"
	"github.com/towpath-cd/towpath/internal/worker"
)

// apart are a worker's options that keep steps apart, which takes root.
func (s *site) apart(level confine.Level) worker.Options {
	s.t.Helper()
	if os.Geteuid() != 0 {
		s.t.Fatal("steps are kept apart by root only: run these tests as root")
	}
	if err := os.Chmod(filepath.Dir(s.data), 0o711); err != nil { // others come through /tmp as well
		s.t.Fatal(err)
	}
	o := s.options()
	o.Isolation = isolationAt(level)
	return o
}

// onEachLevel tells a story at each level that keeps steps apart.
func onEachLevel(t *testing.T, tell func(t *testing.T, level confine.Level)) {
	for _, level := range []confine.Level{confine.User, confine.Namespaces} {
		t.Run(string(level), func(t *testing.T) { tell(t, level) })
	}
}

// TestAStepReachesNothingOfTheWorkersNorOfAnotherStep has one step wait while another tries.
func TestAStepReachesNothingOfTheWorkersNorOfAnotherStep(t *testing.T) {
	onEachLevel(t, func(t *testing.T, level confine.Level) {
		s := newSite(t)
		s.start(s.apart(level))
		key := filepath.Join(s.data, "worker.key")
		if err := os.WriteFile(key, []byte("key"), 0o600); err != nil {
			t.Fatal(err)
		}
		l := s.step(`echo private >private; echo "$PWD" "$HOME" $$ end; while ! test -e go; do sleep 0.02; done; echo untouched`)
		l.Secrets = map[string]string{"TOKEN": "hunter2-forever"}
		ref := s.offer(l)
		s.awaitLog(ref, " end\n")
		fields := strings.Fields(s.logOf(ref))
		report, log := s.result(s.step(fmt.Sprintf(trespass, key, s.data, fields[0], fields[1])))
		if report.State != "passed" || log != "end\n" {
			t.Errorf("%+v\n%s", report, log)
		}
		release(t, filepath.Join(fields[0], "go"))
		if report := s.awaitReport(ref); report.State != "passed" || !strings.HasSuffix(s.logOf(ref), "untouched\n") {
			t.Errorf("%+v\n%s", report, s.logOf(ref))
		}
	})
}

func TestASecretThatIsAFileIsItsStepsAloneWhereStepsAreKeptApart(t *testing.T) {
	dir := inMemory(t) // which lets nobody else through, so that another one is taken
	onEachLevel(t, func(t *testing.T, level confine.Level) {
		s := newSite(t)
		s.start(s.apart(level))
		report, log := s.result(s.keyed(`test -O "$KEY" && wc -l <"$KEY"; stat -f -c %T "$KEY"; stat -c %a "$KEY" "$(dirname "$KEY")"; echo "$KEY"`))
		lines := strings.Split(log, "\n")
		if report.State != "passed" || !strings.HasPrefix(log, "4\ntmpfs\n600\n700\n") || len(lines) < 5 || strings.HasPrefix(lines[4], dir) {
			t.Fatalf("%+v\n%s", report, log)
		}
		if _, err := os.Stat(lines[4]); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is left: %v", lines[4], err)
		}
	})
}

// trespass prints whatever it can do that it must not. It is told a key, the worker's folder, and another step's workspace and
// HOME.
const trespass = `
try() { "$@" >/dev/null 2>&1 && echo "it can: $*" || true; }
try cat %[1]s
try ls %[2]s/leases
try touch %[2]s/mine
try cat %[3]s/private
try touch %[3]s/mine
try ls %[4]s
try touch /etc/mine
try touch "$TOWPATH_WORKSPACE/../mine"
try mount -t tmpfs none .
try unshare --mount true
# One that became ours meanwhile, or ended, is nobody else's: it is asked twice whose it is.
foreign() { test "$(stat -c %%u "$1" 2>/dev/null || id -u)" != "$(id -u)"; }
for process in /proc/[0-9]*; do
	foreign $process || continue
	test -z "$(cat $process/environ 2>/dev/null | tr '\0' ' ')" || ! foreign $process || echo "it can: cat $process/environ"
	! kill -0 ${process#/proc/} 2>/dev/null || ! foreign $process || echo "it can: kill $process"
done
test "$(id -u)" != 0
echo end`

func TestAWorldOfItsOwnIsReadOnlyAndShowsNoOthers(t *testing.T) {
	s := newSite(t)
	s.start(s.apart(confine.Namespaces))
	open, err := os.MkdirTemp("/", "towpath-test-") // what is below /tmp is not the machine's
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(open) })
	if err := os.Chmod(open, 0o777); err != nil {
		t.Fatal(err)
	}
	report, log := s.result(s.step(fmt.Sprintf(`
(touch %[1]s/mine || true) 2>&1 | sed 's/.*: //'
ls -A %[2]s; ls /proc | grep -c '^[0-9]'
for dir in /tmp /var/tmp /dev/shm "$TMPDIR" "$HOME" .; do touch "$dir/mine"; done
echo seen >/dev/stderr; echo written >/dev/null
python3 -c 'import os; print(len(os.openpty()))'`, open, s.data)))
	if want := "Read-only file system\nhomes\nmirrors\nwork\n"; report.State != "passed" || !strings.HasPrefix(log, want) || !strings.HasSuffix(log, "seen\n2\n") {
		t.Errorf("%+v\n%s", report, log)
	}
	var processes int
	if _, err := fmt.Sscan(strings.TrimPrefix(log, "Read-only file system\nhomes\nmirrors\nwork\n"), &processes); err != nil || processes > 6 {
		t.Errorf("it sees %d processes, %v", processes, err)
	}
}

func TestAStepWithoutANetworkReachesItselfOnly(t *testing.T) {
	s := newSite(t)
	end := s.start(s.apart(confine.Namespaces))
	host, port, _ := strings.Cut(s.address, ":")
	reach := fmt.Sprintf(`if (exec 3<>/dev/tcp/%s/%s) 2>/dev/null; then echo reached; fi; sed 1,2d /proc/net/dev | cut -d: -f1 | tr -d ' '
grep -c 127.0.0.1 /proc/net/fib_trie`, host, port)
	if _, log := s.result(s.step(reach)); !strings.HasPrefix(log, "reached\n") {
		t.Fatalf("with a network: %q", log)
	}
	l := s.step(reach)
	l.Network = "none"
	if report, log := s.result(l); report.State != "passed" || log != "lo\n2\n" {
		t.Errorf("%+v, %q", report, log)
	}
	_ = end(worker.ErrDrain)
	s.until("nobody asks", func() bool { return s.asking == 0 })
	s.start(s.apart(confine.User))
	l = s.step("echo ran")
	l.Network = "none"
	if report, log := s.result(l); report.State != "failed" || !strings.Contains(report.Reason, "--isolation namespaces") || strings.Contains(log, "ran") {
		t.Errorf("%+v, %q", report, log)
	}
}

func TestAStepThatForksWithoutEndMeetsItsLimit(t *testing.T) {
	s := newSite(t)
	s.start(s.apart(confine.Namespaces))
	l := s.step("echo forking; while :; do sleep 1000 & done")
	l.Shell = "sh"
	ref := s.offer(l)
	s.awaitLog(ref, "forking")
	for range 3 {
		if report, _ := s.result(s.step("true | true")); report.State != "passed" {
			t.Errorf("its neighbour: %+v", report)
		}
	}
	report := s.awaitReport(ref)
	if report.State != "failed" || !strings.HasSuffix(report.Reason, "a process could not be started: limit of 60 processes and threads reached") {
		t.Errorf("%+v", report)
	}
}

func TestAStepThatUsesTooMuchMemoryIsKilledAndSaysSo(t *testing.T) {
	s := newSite(t)
	s.start(s.apart(confine.Namespaces))
	for _, script := range []string{"head -c 300M /dev/zero | tail >/dev/null", "head -c 300M /dev/zero >/dev/shm/ballast"} {
		report, _ := s.result(s.step(script))
		if report.State != "failed" || !strings.HasSuffix(report.Reason, "a process was killed: memory limit 100 MB reached") {
			t.Errorf("%s: %+v", script, report)
		}
	}
	if report, _ := s.result(s.step("true")); report.State != "passed" {
		t.Errorf("the next one: %+v", report)
	}
}

func TestAStepThatIsTooSlowForItsShareOfTheProcessorsSaysSo(t *testing.T) {
	s := newSite(t)
	o := s.apart(confine.Namespaces)
	o.Isolation.Limits.CPUs = 0.02 // less than it would get of a machine with much else to do
	s.start(o)
	l := s.step("while :; do :; done")
	l.Timeout = 5
	report, _ := s.result(l)
	if report.State != "failed" || !strings.HasPrefix(report.Reason, "timed out after 5s; its processes were held back for ") ||
		!strings.HasSuffix(report.Reason, "s: limit of 0.02 processors reached") {
		t.Errorf("%+v", report)
	}
}

func TestEveryGuestFindsItsWorkspaceAsIfItWereNew(t *testing.T) {
	onEachLevel(t, func(t *testing.T, level confine.Level) {
		s := newSite(t)
		everyWorkspaceIsNew(s, s.apart(level))
	})
}

func TestAGuestsFilesComeAndGo(t *testing.T) {
	onEachLevel(t, func(t *testing.T, level confine.Level) {
		s := newSite(t)
		o := s.apart(level)
		o.Slots = 1
		s.start(o)
		kept := s.kept(`mkdir -p dist/deep closed/er; echo a >dist/deep/a; touch closed/er/x; chmod 000 dist/deep/a dist/deep closed/er closed; umask 077; echo mine >~/kept`, "dist")
		log := s.logUsing("cat dist/deep/a ~/kept; echo more >>dist/deep/a; git status --porcelain; git tag v1; test ! -e closed", kept...)
		if log != "a\nmine\n?? dist/\n" {
			t.Errorf("log %q", log)
		}
		other := s.step(`ls -A ~; ls -d ` + s.data + `/homes/shop-*/others-1/home/kept || true; git tag; git log --format=%s`)
		other.Pipeline = "another"
		if report, log := s.result(other); strings.Contains(log, "kept\n") || !strings.HasSuffix(log, "greeting\n") {
			t.Errorf("%+v\n%s", report, log)
		}
		eventually(t, "what was left is gone", func() bool {
			left, err := os.ReadDir(filepath.Join(s.data, "trash"))
			return err == nil && len(left) == 0
		})
	})
}

// TestAGuestCannotHaveTheWorkerReadForIt has the guest's files be names of another's, as some machines let their users do:
// here the test does it.
func TestAGuestCannotHaveTheWorkerReadForIt(t *testing.T) {
	onEachLevel(t, func(t *testing.T, level confine.Level) {
		s := newSite(t)
		s.start(s.apart(level))
		private := filepath.Join(t.TempDir(), "private")
		if err := os.WriteFile(private, []byte("password=hunter2\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		for name, link := range map[string]func(string, string) error{"../.towpath/outputs": os.Link, "../.towpath/outputs ": os.Symlink, "dist/x": os.Link} {
			l := s.step(`mkdir dist; rm "$TOWPATH_OUTPUT"; echo "$PWD" end; while ! test -e go; do sleep 0.02; done`)
			l.Keeps = []string{"dist"}
			ref := s.offer(l)
			s.awaitLog(ref, " end\n")
			workspace := strings.Fields(s.logOf(ref))[0]
			if err := link(private, filepath.Join(workspace, strings.TrimSpace(name))); err != nil {
				t.Fatal(err)
			}
			release(t, filepath.Join(workspace, "go"))
			report := s.awaitReport(ref)
			if report.State != "failed" || len(report.Outputs)+len(report.Artifacts) > 0 {
				t.Errorf("%s: %+v", name, report)
			}
		}
	})
}

func TestAnOutputThatNobodyWritesToIsNotWaitedFor(t *testing.T) {
	s := working(t)
	report, _ := s.result(s.step(`rm "$TOWPATH_OUTPUT"; mkfifo "$TOWPATH_OUTPUT"`))
	if want := "TOWPATH_OUTPUT: it is no file of the step's own any more"; report.State != "failed" || report.Reason != want {
		t.Errorf("%+v", report)
	}
}

func TestWhatTheMachineDoesNotGiveIsToldAtTheStart(t *testing.T) {
	s := newSite(t)
	few := s.apart(confine.User)
	few.Isolation.Users.Last = few.Isolation.Users.First + 2
	closed := s.apart(confine.User)
	closed.DataDir = filepath.Join(t.TempDir(), "closed", "data")
	if err := os.Mkdir(filepath.Dir(closed.DataDir), 0o700); err != nil {
		t.Fatal(err)
	}
	broken := s.apart(confine.Namespaces)
	broken.Isolation.Helper = confine.Helper{"/bin/false"}
	for want, options := range map[string]worker.Options{
		"2 slots need 4 users": few, "lets nobody but its owner through": closed, "a trial failed": broken,
	} {
		if err := worker.Run(t.Context(), options); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

package worker_test

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/towpath-cd/towpath/client"
)

// inMemory is a folder on no disk that the worker of the test takes for its user's session.
func inMemory(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "towpath-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	t.Setenv("XDG_RUNTIME_DIR", dir)
	return dir
}

// keyed is a step that is told a secret as a file.
func (s *site) keyed(script string) *client.StepLease {
	l := s.step(script)
	l.SecretFiles = map[string]string{"KEY": keyFile}
	return l
}

func TestASecretThatIsAFileIsInMemoryForItsStepAlone(t *testing.T) {
	dir := inMemory(t)
	s := working(t)
	l := s.keyed(`stat -c '%a %U' "$KEY" "$(dirname "$KEY")"; sha256sum <"$KEY"; cat "$KEY"; sed 's/^/>/' "$KEY"
		grep -rl "first-line""-of-a-key" ` + s.data + ` || echo on no disk
		env | grep -c "first-line""-of-a-key" || echo in no variable
		echo "$KEY"; touch "$(dirname "$KEY")/added"; mkdir -m 0 "$(dirname "$KEY")/closed"`)
	report, log := s.result(l)
	sum := sha256.Sum256([]byte(keyFile))
	user, err := exec.Command("id", "-un").Output()
	if err != nil {
		t.Fatal(err)
	}
	mine := strings.TrimSpace(string(user))
	lines := strings.Split(log, "\n")
	want := []string{
		"600 " + mine, "700 " + mine, hex.EncodeToString(sum[:]) + "  -", "***", "***", "***", "***", ">***", ">***", ">***", ">***",
		"on no disk", "0", "in no variable",
	}
	if report.State != "passed" || len(lines) < len(want) || strings.Join(lines[:len(want)], "\n") != strings.Join(want, "\n") ||
		!strings.HasPrefix(lines[len(want)], dir+"/towpath-") {
		t.Errorf("%+v\n%s", report, log)
	}
	mustBeEmpty(t, dir, filepath.Join(s.data, "beside"))
	if report, _ := s.result(s.keyed("rm -r \"$(dirname \"$KEY\")\"; exit 3")); report.ExitCode != 3 {
		t.Errorf("%+v", report)
	}
	mustBeEmpty(t, dir, filepath.Join(s.data, "beside"))
}

func TestASecretThatCannotBeAFileFailsItsStep(t *testing.T) {
	dir := inMemory(t)
	s := working(t)
	l := s.keyed("echo ran")
	l.SecretFiles["KEY/"] = "of another name that is the same file"
	if report, log := s.result(l); report.State != "failed" || !strings.Contains(report.Reason, "as a file") || strings.Contains(log, "ran") {
		t.Errorf("%+v\n%s", report, log)
	}
	mustBeEmpty(t, dir)
}

func TestAKilledWorkersSecretsAreRemoved(t *testing.T) {
	dir := inMemory(t)
	s := newSite(t)
	kill := s.killable()
	ref := s.offer(s.keyed("echo ready; sleep 1000"))
	s.awaitLog(ref, "ready")
	kill()
	if left, err := filepath.Glob(filepath.Join(dir, "*", "KEY")); err != nil || len(left) != 1 {
		t.Fatalf("the file is not where it is looked for: %v, %v", left, err)
	}
	s.start(s.options())
	eventually(t, "the file is gone", func() bool {
		left, err := os.ReadDir(dir)
		return err == nil && len(left) == 0
	})
}

func insideSeesSecretsAsFiles(t *testing.T) {
	dir := inMemory(t)
	s := working(t)
	l := s.boxed(`stat -c %a "$KEY"; wc -l <"$KEY"; cat "$KEY"`)
	l.SecretFiles = map[string]string{"KEY": keyFile}
	if report, log := s.result(l); report.State != "passed" || log != "600\n4\n***\n***\n***\n***\n" {
		t.Errorf("%+v\n%s", report, log)
	}
	mustBeEmpty(t, dir)
}

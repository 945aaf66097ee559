package cli

import (
	"path/filepath"
	"strings"
	"testing"
)

func TestAWorkerThatKeepsStepsApartIsInstalledAsRoots(t *testing.T) {
	data := filepath.Join(t.TempDir(), "barge")
	got := call(t, "worker", "install", "--dry-run", "--data", data, "--isolation", "namespaces", "--isolation-users", "300000-300099", "--step-memory", "2GB")
	for _, word := range []string{`"--isolation" "namespaces"`, `"--isolation-users" "300000-300099"`, `"--step-memory" "2GB"`, "User=root\n", "Delegate=yes\n"} {
		if !strings.Contains(got.out, word) {
			t.Errorf("%q is not in it:\n%s%s", word, got.out, got.err)
		}
	}
	if strings.Contains(got.out, "step-cpus") {
		t.Errorf("it holds what nobody said:\n%s", got.out)
	}
	for _, account := range []string{"--user", "--as=builder"} {
		if got := call(t, "worker", "install", "--dry-run", "--isolation", "user", account); got.code != ExitUsage || !strings.Contains(got.err, "worker of root's") {
			t.Errorf("%s: it answered %+v", account, got)
		}
	}
}

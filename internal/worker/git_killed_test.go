//go:build unix

package worker_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// killedGit is a git that is killed at some of its calls, as the out-of-memory killer does: it writes each down first.
const killedGit = `#!/bin/sh
echo "$*" >> %[1]s
case $(wc -l < %[1]s) in 1|3) kill -KILL $$ ;; esac
exec %[2]s "$@"
`

func TestAGitThatIsKilledIsRunAgain(t *testing.T) {
	git, err := exec.LookPath("git")
	if err != nil {
		t.Fatal(err)
	}
	s, folder := newSite(t), t.TempDir()
	calls := filepath.Join(folder, "calls")
	if err := os.WriteFile(filepath.Join(folder, "git"), fmt.Appendf(nil, killedGit, calls, git), 0o700); err != nil {
		t.Fatal(err)
	}
	l := s.step("cat greeting; git status --porcelain")
	t.Setenv("PATH", folder+string(os.PathListSeparator)+os.Getenv("PATH"))
	s.start(s.options())
	report, log := s.result(l)
	if report.State != "passed" || log != "hello from the repository\n" {
		t.Errorf("%+v, log %q", report, log)
	}
	if text, err := os.ReadFile(calls); err != nil || len(text) == 0 {
		t.Errorf("git was called as %q, %v", text, err)
	}
}

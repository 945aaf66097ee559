//go:build linux

package e2e_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/creack/pty"

	"github.com/towpath-cd/towpath/client"
)

// terminal is a person before a terminal in which a verb runs.
type terminal struct {
	*site
	command *exec.Cmd
	person  *os.File
	mutex   sync.Mutex
	seen    string // since the last look
	ended   chan int
}

// sits starts a verb in a terminal of its own.
func (s *site) sits(args ...string) *terminal {
	s.Helper()
	t := &terminal{site: s, command: exec.Command(towpath(), args...), ended: make(chan int, 1)}
	t.command.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + s.root, "TERM=xterm", "TOWPATH_SERVER=http://" + s.address, "TOWPATH_TOKEN=" + s.token(),
	}
	var err error
	t.person, err = pty.StartWithSize(t.command, &pty.Winsize{Rows: 33, Cols: 77})
	s.must(err)
	go t.watch()
	s.Cleanup(func() { _ = t.command.Process.Kill(); _ = t.person.Close() })
	return t
}

func (t *terminal) watch() {
	piece := make([]byte, 4096)
	for {
		n, err := t.person.Read(piece)
		t.mutex.Lock()
		t.seen += string(piece[:n])
		t.mutex.Unlock()
		if err != nil {
			_ = t.command.Wait()
			t.ended <- t.command.ProcessState.ExitCode()
			return
		}
	}
}

func (t *terminal) types(text string) {
	t.Helper()
	_, err := t.person.WriteString(text)
	t.must(err)
}

// sees waits until a text stands there that did not at the last look.
func (t *terminal) sees(text string) {
	t.Helper()
	t.Cleanup(func() {
		if t.Failed() {
			t.mutex.Lock()
			defer t.mutex.Unlock()
			t.Logf("%q on the terminal: %q", text, t.seen)
		}
	})
	until(t, text+" stands on the terminal", func() bool {
		t.mutex.Lock()
		defer t.mutex.Unlock()
		_, after, found := strings.Cut(t.seen, text)
		if found {
			t.seen = after
		}
		return found
	})
}

// exits waits for the verb's end, with that status.
func (t *terminal) exits(want int) {
	t.Helper()
	select {
	case code := <-t.ended:
		if code != want {
			t.Errorf("it ended with %d, want %d: %q", code, want, t.seen)
		}
	case <-time.After(stopLimit):
		t.Fatalf("it does not end: %q", t.seen)
	}
}

// viewer is a person who may look at everything, and change nothing.
func (s *site) viewer(name string) *client.Client {
	s.Helper()
	account, err := s.api.PutAccount(s.Context(), client.Account{Name: name, Email: name + "@example.com", Roles: map[string]string{"*": "viewer"}})
	s.must(err)
	_, code, _ := strings.Cut(account.Link, "code=")
	token, err := s.api.SignIn(s.Context(), code, "laptop")
	s.must(err)
	return s.as(token.Token)
}

// isGone says that the process whose number stands in a file has ended.
func (s *site) isGone(file string) bool {
	pid, err := strconv.Atoi(s.line(file))
	s.must(err)
	return look(pid).commandLine == ""
}

func TestAPersonHasAShellInThePlaceOfAStepThatFailed(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.startServer("--no-worker")
	s.startWorker()
	repository := s.withSecrets(client.Secret{Name: "CONFIG", Value: secretFile})
	repository.push(tree{"greeting": "hello", "towpath.yaml": `
pipeline: app
steps:
  - {build: app, run: mkdir dist; echo built >dist/file, artifacts: dist/}
  - {test: unit, run: exit 3, secrets: [{name: CONFIG, as: file}]}
`})
	s.ends(1, "failed")
	s.refuses(func() error { _, err := s.api.OpenShell(t.Context(), "app", 1, "unit"); return err }, "forbidden") // main is protected
	viewer := s.viewer("vera")
	s.environ = append(s.environ, "TOWPATH_DEBUG_SHELL_ALLOW=always")
	s.crashServer("--no-worker")
	s.refuses(func() error { _, err := viewer.OpenShell(t.Context(), "app", 1, "unit"); return err }, "forbidden")

	ada := s.sits("shell", "unit")
	ada.types("echo of $TOWPATH_STEP; cat greeting dist/file; echo; sha256sum <$CONFIG | head -c 8; echo; stty size\n")
	ada.sees("of unit\r\nhellobuilt\r\n\r\n")
	ada.sees("33 77\r\n")
	s.refuses(func() error { _, err := viewer.AttachShell(t.Context(), "app", 2, "unit"); return err }, "forbidden")
	ada.types("sh -c 'echo wait\"\"ing; exec sleep 1000'\n")
	ada.sees("waiting\r\n")
	ada.types("\x03")
	ada.types("echo interrupted $?\n")
	ada.sees("interrupted 130\r\n")
	s.crashServer("--no-worker")
	file := filepath.Join(s.root, "left")
	ada.types("echo again $((1+1)); (setsid sleep 1000 & echo $! >" + file + "); exit 7\n")
	ada.sees("again 2\r\n")
	ada.sees("the shell exited with status 7")
	ada.exits(7)
	run := s.ends(2, "canceled")
	if unit := stepOf(run, "unit"); run.Shell != "unit" || unit.State != "passed" || !strings.Contains(unit.Reason, "the debug shell of owner exited with status 7") {
		t.Errorf("%s", s.describe(run))
	}
	until(t, "what it left is gone", func() bool { return s.isGone(file) })
	s.standsNowhere("line of a file")

	s.environ = append(s.environ, "TOWPATH_DEBUG_SHELL_IDLE=2s")
	s.crashServer("--no-worker")
	idle := s.sits("shell", "unit", "--run", "app#1")
	idle.sees("ended because nothing was typed for 2s")
	idle.exits(1)
	s.ends(3, "canceled")
	audit, err := s.api.Audit(t.Context())
	s.must(err)
	var told []string
	for _, entry := range audit {
		if strings.HasPrefix(entry.Action, "shell.") {
			told = append(told, entry.Actor+" "+entry.Action+" "+entry.Object)
		}
	}
	if want := "owner shell.end app #3, owner shell.open app #3, owner shell.end app #2, owner shell.open app #2"; strings.Join(told, ", ") != want {
		t.Errorf("the audit has %v", told)
	}
}

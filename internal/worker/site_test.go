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
	renewEvery float64 // seconds
}

func newSite(t testing.TB) *site {
	t.Helper()
	s := &site{server: newServer(t), repository: filepath.Join(t.TempDir(), "shop"), data: t.TempDir(), renewEvery: 0.02}
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
		Script: script, Timeout: 60, RenewEvery: s.renewEvery,
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

func eventually(t testing.TB, what string, holds func() bool) {
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

// awaitReports waits until the ends of n steps are written down in dir.
func awaitReports(t *testing.T, dir string, n int) {
	t.Helper()
	eventually(t, "written reports", func() bool { return recorded(dir, "report.json") == n })
}

// recorded counts the records in dir that have something in a file of that name.
func recorded(dir, name string) (n int) {
	found, _ := filepath.Glob(filepath.Join(dir, "leases", "*", name))
	for _, path := range found {
		if info, err := os.Stat(path); err == nil && info.Size() > 0 {
			n++
		}
	}
	return n
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

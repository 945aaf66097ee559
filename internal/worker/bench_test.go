//go:build unix

package worker_test

import (
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/towpath-cd/towpath/client"
)

// BenchmarkStep is a step that does nothing, from its offer to its report, on a server that only remembers; and beside
// it what cannot be saved: one git process and one shell.
func BenchmarkStep(b *testing.B) {
	s := newSite(b)
	for i := range 50 {
		name := filepath.Join(s.repository, fmt.Sprintf("f%d", i))
		if err := os.WriteFile(name, make([]byte, 900), 0o644); err != nil {
			b.Fatal(err)
		}
	}
	s.commit("last", "x")
	options := s.options()
	options.Logger = slog.New(slog.DiscardHandler)
	s.start(options)
	began := filepath.Join(b.TempDir(), "began")
	s.awaitReport(s.offer(s.step("true"))) // warms the mirror
	b.Run("step", func(b *testing.B) {
		for b.Loop() {
			s.awaitReport(s.offer(s.step("true")))
		}
	})
	b.Run("step-that-prints", func(b *testing.B) {
		for b.Loop() {
			s.awaitReport(s.offer(s.step("echo hello")))
		}
	})
	b.Run("until-its-first-process", func(b *testing.B) {
		var total time.Duration
		for b.Loop() {
			offered := time.Now()
			s.awaitReport(s.offer(s.step(": >" + began)))
			info, err := os.Stat(began)
			if err != nil {
				b.Fatal(err)
			}
			total += info.ModTime().Sub(offered)
		}
		b.ReportMetric(float64(total.Microseconds())/float64(b.N)/1000, "ms/first")
	})
	b.Run("git-and-shell", func(b *testing.B) {
		dir := filepath.Join(b.TempDir(), "work")
		for b.Loop() {
			s.git("--git-dir="+filepath.Join(s.repository, ".git"), "rev-parse", "HEAD")
			if err := exec.Command("bash", "-euo", "pipefail", "-c", "true").Run(); err != nil {
				b.Fatal(err)
			}
		}
		_ = os.RemoveAll(dir)
	})
	b.Run("clone-and-shell", func(b *testing.B) {
		dir := filepath.Join(b.TempDir(), "work")
		for b.Loop() {
			s.git("clone", "-q", "--depth", "1", "file://"+s.repository, dir)
			if err := exec.Command("bash", "-euo", "pipefail", "-c", "true").Run(); err != nil {
				b.Fatal(err)
			}
			b.StopTimer()
			_ = os.RemoveAll(dir)
			b.StartTimer()
		}
	})
}

// BenchmarkLog is how fast output reaches a server that only remembers, ten secrets being masked.
func BenchmarkLog(b *testing.B) {
	s := newSite(b)
	options := s.options()
	options.Logger = slog.New(slog.DiscardHandler)
	s.start(options)
	const lines = 100_000
	script := fmt.Sprintf(`yes %0105d | head -n %d`, 7, lines)
	secrets := make(map[string]string)
	for i := range 10 {
		secrets[fmt.Sprintf("SECRET_%d", i)] = fmt.Sprintf("never-to-be-seen-%d", i)
	}
	run := func(l *client.StepLease) {
		if report := s.awaitReport(s.offer(l)); report.LogSize != lines*106 {
			b.Fatalf("%+v", report)
		}
	}
	b.Run("step", func(b *testing.B) {
		b.SetBytes(lines * 106)
		for b.Loop() {
			l := s.step(script)
			l.Secrets = secrets
			run(l)
		}
	})
	b.Run("shell", func(b *testing.B) {
		b.SetBytes(lines * 106)
		for b.Loop() {
			if out, err := exec.Command("bash", "-c", script).Output(); err != nil || len(out) != lines*106 {
				b.Fatal(len(out), err)
			}
		}
	})
}

//go:build unix

package worker_test

import (
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/towpath-cd/towpath/client"
)

// BenchmarkStep is a step that does nothing, from its offer to its report, on a server that only remembers. Beside it,
// in turn, the same script by the shell alone, and a shallow clone with the script.
func BenchmarkStep(b *testing.B) {
	s := newSite(b)
	for i := range 50 {
		write(b, filepath.Join(s.repository, fmt.Sprintf("f%d", i)), string(make([]byte, 900)))
	}
	s.commit("last", "x")
	options := s.options()
	options.Logger = slog.New(slog.DiscardHandler)
	s.start(options)
	script := filepath.Join(b.TempDir(), "script")
	write(b, script, "true")
	s.awaitReport(s.offer(s.step("true"))) // warms the mirror

	ways := []struct {
		name string
		take func() time.Duration
	}{
		{"step", func() time.Duration { return timed(func() { s.awaitReport(s.offer(s.step("true"))) }) }},
		{"step-prints", func() time.Duration { return timed(func() { s.awaitReport(s.offer(s.step("echo hello"))) }) }},
		{"step-new-revision", func() time.Duration {
			s.commit("last", strconv.Itoa(s.steps))
			return timed(func() { s.awaitReport(s.offer(s.step("true"))) })
		}},
		{"step-fresh-checkout", func() time.Duration {
			s.awaitReport(s.offer(s.step("echo changed >f1")))
			return timed(func() { s.awaitReport(s.offer(s.step("true"))) })
		}},
		{"to-first-process", func() time.Duration {
			began := script + ".began"
			offered := time.Now()
			s.awaitReport(s.offer(s.step(": >" + began)))
			return modified(b, began).Sub(offered)
		}},
		{"shell", func() time.Duration {
			return timed(func() { _ = exec.Command("bash", "-euo", "pipefail", script).Run() })
		}},
		{"clone", func() time.Duration {
			dir := filepath.Join(b.TempDir(), "clone")
			return timed(func() { s.git("clone", "-q", "--depth", "1", "file://"+s.repository, dir) })
		}},
	}
	times := make(map[string][]time.Duration)
	for b.Loop() {
		for _, way := range ways {
			times[way.name] = append(times[way.name], way.take())
		}
	}
	b.ReportMetric(0, "ns/op")
	for name, all := range times {
		slices.Sort(all)
		b.ReportMetric(float64(all[len(all)/2].Microseconds())/1000, name+"-ms")
	}
}

func timed(do func()) time.Duration {
	began := time.Now()
	do()
	return time.Since(began)
}

func write(b *testing.B, path, content string) {
	b.Helper()
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		b.Fatal(err)
	}
}

func modified(b *testing.B, path string) time.Time {
	b.Helper()
	info, err := os.Stat(path)
	if err != nil {
		b.Fatal(err)
	}
	return info.ModTime()
}

// BenchmarkLog is how fast output reaches a server that only remembers, ten secrets being masked.
func BenchmarkLog(b *testing.B) {
	s := newSite(b)
	options := s.options()
	options.Logger = slog.New(slog.DiscardHandler)
	s.start(options)
	const lines = 100_000
	script := fmt.Sprintf(`awk 'BEGIN { for (i = 0; i < %d; i++) printf "%%0105d\n", i }'`, lines)
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

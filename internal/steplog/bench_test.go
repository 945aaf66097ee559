package steplog_test

import (
	"math/rand/v2"
	"runtime"
	"testing"
	"time"
)

// BenchmarkMillionLines appends a million lines of 106 bytes as a worker sends them, each append durable, and then
// reads single lines of it.
func BenchmarkMillionLines(b *testing.B) {
	const total, batch = 1_000_000, 2_500
	piece := numbered(0, 100_000)
	for b.Loop() {
		dir := b.TempDir()
		store := openStore(b, dir)
		l := create(b, store)
		begun := time.Now()
		for i := 0; i < total; i += batch {
			at := i % 100_000 * 106
			add(b, l, piece[at:at+batch*106], noon.Add(time.Duration(i)))
		}
		if err := l.Finish(l.Size()); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(time.Since(begun).Seconds(), "s/append")
		var memory runtime.MemStats
		runtime.ReadMemStats(&memory)
		b.ReportMetric(float64(memory.Sys)/1e6, "MB-process")
		used, err := store.Usage()
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(used)/1e6, "MB-disk")
		store.Close()
		store = openStore(b, dir)
		begun = time.Now()
		l = create(b, store)
		b.ReportMetric(time.Since(begun).Seconds()*1e3, "ms/open")
		var worst time.Duration
		for range 50 {
			begun := time.Now()
			if lines, err := l.Read(rand.Int64N(total), 100); err != nil || len(lines) == 0 {
				b.Fatal(err)
			}
			worst = max(worst, time.Since(begun))
		}
		store.Close()
		b.ReportMetric(worst.Seconds()*1e3, "ms/line-worst")
	}
}

package steplog_test

import (
	"bytes"
	"fmt"
	"io"
	"time"

	"github.com/towpath-cd/towpath/internal/steplog"
)

var (
	name = steplog.Name{Run: "run-1", Step: "build: shop (linux/amd64)", Attempt: 1}
	noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
)

// failer is a test, or a case of a property.
type failer interface {
	Helper()
	Fatal(...any)
	Fatalf(string, ...any)
}

func openStore(t failer, dir string) *steplog.Store {
	t.Helper()
	s, err := steplog.NewStore(dir)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func create(t failer, s *steplog.Store) *steplog.Log {
	t.Helper()
	l, err := s.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func add(t failer, l *steplog.Log, text []byte, at time.Time) {
	t.Helper()
	before := l.Size()
	if end, err := l.Append(before, text, at); err != nil || end != before+int64(len(text)) {
		t.Fatalf("append %d bytes at %d: end %d, %v", len(text), before, end, err)
	}
}

func content(t failer, l *steplog.Log) []byte {
	t.Helper()
	all, err := io.ReadAll(l.Reader(0))
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// expectLines compares every way to read lines with the plain text.
func expectLines(t failer, l *steplog.Log, text []byte) {
	t.Helper()
	lines := bytes.SplitAfter(text, []byte("\n"))
	if len(lines[len(lines)-1]) == 0 {
		lines = lines[:len(lines)-1]
	}
	if got := l.Lines(); got != int64(len(lines)) {
		t.Fatalf("%d lines, want %d", got, len(lines))
	}
	for _, from := range []int{0, len(lines) / 3, len(lines) - 1, len(lines)} {
		got, err := l.Read(int64(max(0, from)), 5)
		want := lines[max(0, from):min(len(lines), max(0, from)+5)]
		if err != nil || len(got) != len(want) {
			t.Fatalf("from line %d: %d lines, want %d, %v", from, len(got), len(want), err)
		}
		for i, line := range got {
			trimmed := bytes.TrimSuffix(want[i], []byte("\n"))
			shown := trimmed[:min(len(trimmed), steplog.MaxLineBytes)]
			if !bytes.Equal(line.Text, shown) || line.Cut != (len(shown) < len(trimmed)) {
				t.Fatalf("line %d has %d bytes, want %d", from+i, len(line.Text), len(shown))
			}
			if line.Open != (len(trimmed) == len(want[i])) || line.Number != int64(from+i) {
				t.Fatalf("line %d: number %d, open %t", from+i, line.Number, line.Open)
			}
			if !bytes.HasPrefix(text[line.Offset:], want[i]) {
				t.Fatalf("line %d does not stand at %d", line.Number, line.Offset)
			}
		}
	}
}

// numbered returns n lines of 106 bytes, the first numbered from.
func numbered(from, n int) []byte {
	var out bytes.Buffer
	for i := range n {
		fmt.Fprintf(&out, "%08d 2026-11-22T12:00:%02d compiling package/number/%06d/of/many with options -%x%*s\n", from+i, i%60, i%977, i*7919, 0, "")
		out.Truncate(out.Len() - 1)
		for out.Len()%106 != 105 {
			out.WriteByte('.')
		}
		out.WriteByte('\n')
	}
	return out.Bytes()
}

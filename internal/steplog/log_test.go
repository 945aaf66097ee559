package steplog_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/towpath-cd/towpath/internal/steplog"
)

func TestALogHoldsWhatWasAppendedAlsoAfterARestart(t *testing.T) {
	base, lines := t.TempDir(), numbered(0, 15_000)
	rapid.Check(t, func(t *rapid.T) {
		dir, err := os.MkdirTemp(base, "")
		if err != nil {
			t.Fatal(err)
		}
		store := openStore(t, dir)
		l := create(t, store)
		var want []byte
		for range rapid.IntRange(1, 9).Draw(t, "appends") {
			piece := drawPiece(t, lines)
			add(t, l, piece, noon)
			want = append(want, piece...)
			switch rapid.IntRange(0, 5).Draw(t, "then") {
			case 0:
				if err := store.Close(); err != nil {
					t.Fatal(err)
				}
				store = openStore(t, dir)
				l = create(t, store)
			case 1:
				from := rapid.IntRange(0, len(want)).Draw(t, "again from")
				if end, err := l.Append(int64(from), want[from:], noon); err != nil || end != int64(len(want)) {
					t.Fatalf("the same again from %d: %d, %v", from, end, err)
				}
			}
		}
		if got := content(t, l); !bytes.Equal(got, want) {
			t.Fatalf("%d bytes, want %d", len(got), len(want))
		}
		expectLines(t, l, want)
		if err := errors.Join(l.Finish(int64(len(want))), store.Close()); err != nil {
			t.Fatal(err)
		}
		store = openStore(t, dir)
		defer store.Close()
		l = create(t, store)
		if !l.IsFinished() {
			t.Fatal("no longer finished")
		}
		expectLines(t, l, want)
	})
}

func drawPiece(t *rapid.T, lines []byte) []byte {
	switch rapid.IntRange(0, 4).Draw(t, "kind") {
	case 0:
		return lines[:rapid.IntRange(1, len(lines)).Draw(t, "bytes")]
	case 1:
		return bytes.Repeat([]byte("x"), rapid.IntRange(1, 200_000).Draw(t, "length"))
	default:
		return []byte(rapid.StringMatching(`[a\n]{1,20}`).Draw(t, "text"))
	}
}

func TestAGapTellsWhatIsExpected(t *testing.T) {
	store := openStore(t, t.TempDir())
	defer store.Close()
	l := create(t, store)
	add(t, l, []byte("hello\n"), noon)
	_, err := l.Append(10, []byte("x"), noon)
	var gap *steplog.GapError
	if !errors.As(err, &gap) || gap.Expected != 6 {
		t.Errorf("a gap gave %v", err)
	}
	if err := l.Finish(10); !errors.As(err, &gap) || gap.Expected != 6 {
		t.Errorf("finishing beyond the end gave %v", err)
	}
}

func TestOtherBytesAtAnOffsetAreRefused(t *testing.T) {
	store := openStore(t, t.TempDir())
	defer store.Close()
	l := create(t, store)
	add(t, l, numbered(0, 20_000), noon)
	add(t, l, []byte("tail\n"), noon)
	for _, offset := range []int64{0, l.Size() - 3} {
		if _, err := l.Append(offset, []byte("other"), noon); !errors.Is(err, steplog.ErrConflict) {
			t.Errorf("at %d: %v", offset, err)
		}
	}
	if err := l.Finish(l.Size() - 1); !errors.Is(err, steplog.ErrConflict) {
		t.Errorf("finishing short gave %v", err)
	}
}

func TestALogTakesNoMoreThanItMay(t *testing.T) {
	dir := t.TempDir()
	store := openStore(t, dir)
	l := create(t, store)
	l.Limit(10)
	add(t, l, []byte("12345678"), noon)
	for range 2 {
		if end, err := l.Append(8, []byte("abc"), noon); !errors.Is(err, steplog.ErrTooLong) || end != 8 {
			t.Errorf("%d, %v", end, err)
		}
	}
	if end, err := l.Append(6, []byte("78ab"), noon); err != nil || end != 10 { // what is there already does not count
		t.Errorf("%d, %v", end, err)
	}
	if err := errors.Join(l.Finish(10), store.Close()); err != nil {
		t.Fatal(err)
	}
	store = openStore(t, dir)
	defer store.Close()
	if l := create(t, store); l.Size() != 10 {
		t.Errorf("%d bytes are kept", l.Size())
	}
}

func TestAFinishedLogTakesNothingNew(t *testing.T) {
	store := openStore(t, t.TempDir())
	defer store.Close()
	l := create(t, store)
	add(t, l, []byte("hello\n"), noon)
	if err := errors.Join(l.Finish(6), l.Finish(6)); err != nil {
		t.Fatal(err)
	}
	if end, err := l.Append(0, []byte("hello\n"), noon); err != nil || end != 6 {
		t.Errorf("the same again: %d, %v", end, err)
	}
	if _, err := l.Append(6, []byte("more"), noon); !errors.Is(err, steplog.ErrFinished) {
		t.Errorf("more gave %v", err)
	}
}

func TestEachLineKnowsWhenItBegan(t *testing.T) {
	dir := t.TempDir()
	store := openStore(t, dir)
	l := create(t, store)
	add(t, l, []byte("first\nsec"), noon)
	add(t, l, []byte("ond"), noon.Add(time.Second))
	add(t, l, []byte("\nthird\n"), noon.Add(2*time.Second))
	big := numbered(0, 30_000)
	add(t, l, big, noon.Add(3*time.Second))
	add(t, l, []byte("last\n"), noon.Add(4*time.Second))
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	store = openStore(t, dir)
	defer store.Close()
	l = create(t, store)
	for line, seconds := range map[int64]int{0: 0, 1: 0, 2: 2, 3: 3, 20_000: 3, 30_002: 3, 30_003: 4} {
		got, err := l.Read(line, 1)
		if err != nil || len(got) != 1 || !got[0].At.Equal(noon.Add(time.Duration(seconds)*time.Second)) {
			t.Errorf("line %d: %+v, %v", line, got, err)
		}
	}
}

func TestAFollowerSeesEveryByteAndTheEnd(t *testing.T) {
	store := openStore(t, t.TempDir())
	defer store.Close()
	l := create(t, store)
	want := numbered(0, 40_000)
	var writer sync.WaitGroup
	writer.Go(func() {
		for rest := want; len(rest) > 0; {
			n := min(len(rest), 77_777)
			if _, err := l.Append(l.Size(), rest[:n], noon); err != nil {
				t.Error(err)
			}
			rest = rest[n:]
		}
		if err := l.Finish(int64(len(want))); err != nil {
			t.Error(err)
		}
	})
	if got := follow(t, l); !bytes.Equal(got, want) {
		t.Errorf("followed %d bytes of %d", len(got), len(want))
	}
	writer.Wait()
}

func follow(t *testing.T, l *steplog.Log) []byte {
	var got []byte
	for {
		changed, finished := l.Changed(), l.IsFinished()
		for int64(len(got)) < l.Size() {
			buffer := make([]byte, 50_000)
			n, _ := l.ReadAt(buffer, int64(len(got)))
			got = append(got, buffer[:n]...)
		}
		if finished {
			return got
		}
		select {
		case <-changed:
		case <-t.Context().Done():
			return got
		}
	}
}

func TestAnEndlessLineIsCut(t *testing.T) {
	store := openStore(t, t.TempDir())
	defer store.Close()
	l := create(t, store)
	for range 5 {
		add(t, l, bytes.Repeat([]byte("x"), 900_000), noon)
	}
	add(t, l, []byte("\nnext\n"), noon)
	lines, err := l.Read(0, 10)
	if err != nil || len(lines) != 2 || !lines[0].Cut || len(lines[0].Text) != steplog.MaxLineBytes || string(lines[1].Text) != "next" {
		t.Errorf("%d lines, %v", len(lines), err)
	}
}

func TestARemovedLogIsGoneAndItsNameFree(t *testing.T) {
	dir := t.TempDir()
	store := openStore(t, dir)
	defer store.Close()
	l := create(t, store)
	add(t, l, numbered(0, 20_000), noon)
	content(t, l)
	changed := l.Changed()
	if err := errors.Join(store.Remove(name), store.Remove(name)); err != nil {
		t.Fatal(err)
	}
	<-changed
	if _, err := store.Open(name); !errors.Is(err, steplog.ErrNotFound) {
		t.Errorf("open gave %v", err)
	}
	if _, err := l.Append(l.Size(), []byte("x"), noon); !errors.Is(err, steplog.ErrNotFound) {
		t.Errorf("append gave %v", err)
	}
	if used, err := store.Usage(); used != 0 || err != nil {
		t.Errorf("%d bytes are left, %v", used, err)
	}
	again := create(t, store)
	add(t, again, bytes.Repeat([]byte("new line\n"), 200_000), noon)
	if got := content(t, again); !bytes.HasPrefix(got, []byte("new line\n")) {
		t.Errorf("the new log begins with %q", got[:20])
	}
}

func TestNamesNeverLeaveTheFolderNorCollide(t *testing.T) {
	dir := t.TempDir()
	store := openStore(t, dir)
	defer store.Close()
	names := []steplog.Name{
		{"..", "../../etc/passwd", 1},
		{"r", "Test", 1},
		{"r", "test", 1},
		{"r", "test", 2},
		{"r", "test.1", 1},
		{"r", "con", 1},
		{"", "", 0},
		{"r", strings.Repeat("ü", 500), 1},
		{"r", strings.Repeat("ü", 501), 1},
	}
	for _, n := range names {
		l, err := store.Create(n)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := l.Append(0, []byte(n.String()), noon); err != nil {
			t.Fatal(err)
		}
	}
	files, err := filepath.Glob(filepath.Join(dir, "*", "*"))
	if err != nil || len(files) != len(names) {
		t.Errorf("%d files of %d: %v", len(files), len(names), files)
	}
	seen := make(map[string]bool)
	for _, f := range files {
		seen[strings.ToLower(f)] = true
	}
	if len(seen) != len(names) {
		t.Error("two names differ only in case")
	}
}

func TestATornEndIsClearedAndTheRestKept(t *testing.T) {
	for _, suffix := range []string{".tail", ".frames"} {
		dir := t.TempDir()
		store := openStore(t, dir)
		l := create(t, store)
		want := append(numbered(0, 20_000), "tail\n"...)
		add(t, l, want[:len(want)-5], noon)
		add(t, l, want[len(want)-5:], noon)
		if err := store.Close(); err != nil {
			t.Fatal(err)
		}
		files, err := filepath.Glob(filepath.Join(dir, "*", "*"+suffix))
		if err != nil || len(files) != 1 {
			t.Fatal(files, err)
		}
		whole, err := os.ReadFile(files[0])
		if err != nil {
			t.Fatal(err)
		}
		torn := append(bytes.Clone(whole), whole[:len(whole)-3]...)
		if err := os.WriteFile(files[0], torn, 0o600); err != nil {
			t.Fatal(err)
		}
		store = openStore(t, dir)
		l = create(t, store)
		if got := content(t, l); !bytes.Equal(got, want) {
			t.Errorf("%s: %d bytes of %d", suffix, len(got), len(want))
		}
		add(t, l, []byte("more\n"), noon)
		if err := store.Close(); err != nil {
			t.Fatal(err)
		}
		store = openStore(t, dir)
		if got := content(t, create(t, store)); len(got) != len(want)+5 {
			t.Errorf("%s: after more, %d bytes", suffix, len(got))
		}
		store.Close()
	}
}

func TestAFullDiskLosesNothingThatWasAcknowledged(t *testing.T) {
	if _, err := os.Stat("/dev/full"); err != nil {
		return // only Linux has a disk that is always full
	}
	dir := t.TempDir()
	store := openStore(t, dir)
	defer store.Close()
	l := create(t, store)
	add(t, l, []byte("kept\n"), noon)
	files, err := filepath.Glob(filepath.Join(dir, "*", "*.tail"))
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	frames := strings.TrimSuffix(files[0], ".tail") + ".frames"
	if err := os.Symlink("/dev/full", frames); err != nil {
		t.Fatal(err)
	}
	if end, err := l.Append(5, numbered(0, 20_000), noon); err == nil || end != 5 {
		t.Fatalf("a full disk gave %d, %v", end, err)
	}
	if err := os.Remove(frames); err != nil {
		t.Fatal(err)
	}
	again := create(t, store)
	if got := content(t, again); string(got) != "kept\n" {
		t.Errorf("after the disk was full: %q", got)
	}
	add(t, again, numbered(0, 20_000), noon)
}

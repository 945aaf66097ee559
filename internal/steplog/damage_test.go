package steplog_test

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/towpath-cd/towpath/internal/steplog"
)

// written is a log as its files stand on the disk.
type written struct {
	text         []byte
	frames, tail []byte
	path         string // of its files below the store's folder, without their suffixes
	pieces       []piece
}

// piece is a frame: where it stands in its file, and what it holds of the log.
type piece struct{ from, to, offset, end int }

func writeLog(t testing.TB, seal bool) written {
	t.Helper()
	dir := t.TempDir()
	store := openStore(t, dir)
	l := create(t, store)
	w := written{text: append(numbered(0, 70_000), "the tail\nof two lines\n"...)}
	for _, size := range []int{700_000, 700_000, 4_000_000, len(w.text) - 22} {
		add(t, l, w.text[l.Size():min(int64(len(w.text)), max(l.Size(), int64(size)))], noon)
	}
	for _, end := range []int{len(w.text) - 13, len(w.text)} {
		add(t, l, w.text[l.Size():end], noon)
	}
	if seal {
		if err := l.Finish(int64(len(w.text))); err != nil {
			t.Fatal(err)
		}
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*", "*.frames"))
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	base := strings.TrimSuffix(files[0], ".frames")
	w.frames, w.tail, w.path = contents(t, base+".frames"), contents(t, base+".tail"), strings.TrimPrefix(base, dir)
	for at := 0; at < len(w.frames); {
		header := w.frames[at:]
		offset, length := int(binary.LittleEndian.Uint64(header[8:])), int(binary.LittleEndian.Uint32(header[16:]))
		end := at + 48 + int(binary.LittleEndian.Uint32(header[20:]))
		w.pieces = append(w.pieces, piece{at, end, offset, offset + length})
		at = end
	}
	if len(w.pieces) < 6 {
		t.Fatalf("%d frames are too few for the test", len(w.pieces))
	}
	return w
}

func contents(t testing.TB, path string) []byte {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// open opens a log of these files.
func (w written) open(t testing.TB, frames, tail []byte) *steplog.Log {
	t.Helper()
	dir := t.TempDir()
	base := filepath.Join(dir, w.path)
	if err := os.MkdirAll(filepath.Dir(base), 0o700); err != nil {
		t.Fatal(err)
	}
	for suffix, content := range map[string][]byte{".frames": frames, ".tail": tail} {
		if err := os.WriteFile(base+suffix, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	store := openStore(t, dir)
	t.Cleanup(func() { store.Close() })
	return create(t, store)
}

// expectWholePieces compares what stands in frames that nobody touched, by offset and by line.
func (w written) expectWholePieces(t testing.TB, l *steplog.Log, frames []byte) (damaged int) {
	t.Helper()
	got := content(t, l)
	for _, p := range w.pieces {
		if p.to > len(frames) || !bytes.Equal(frames[p.from:p.to], w.frames[p.from:p.to]) {
			damaged++
			continue
		}
		if p.end > len(got) || !bytes.Equal(got[p.offset:p.end], w.text[p.offset:p.end]) {
			t.Fatalf("the frame at %d is whole, and its bytes are others", p.offset)
		}
		number := int64(bytes.Count(w.text[:p.offset], []byte("\n"))) + 3
		lines, err := l.Read(number, 1)
		if err != nil || len(lines) != 1 || !bytes.HasPrefix(w.text[lines[0].Offset:], append(lines[0].Text, '\n')) || lines[0].Number != number {
			t.Fatalf("line %d, which is whole: %+v, %v", number, lines, err)
		}
	}
	return damaged
}

func TestADamagedFrameCostsOnlyItselfAndSaysSo(t *testing.T) {
	for name, at := range map[string]int{"payload": 60, "header": 10, "both": 0} {
		t.Run(name, func(t *testing.T) {
			w := writeLog(t, true)
			for i := range w.pieces {
				frames := bytes.Clone(w.frames)
				frames[w.pieces[i].from+at] ^= 0xff
				if at == 0 {
					copy(frames[w.pieces[i].from:], bytes.Repeat([]byte("x"), 100))
				}
				l := w.open(t, frames, w.tail)
				if damaged := w.expectWholePieces(t, l, frames); damaged != 1 || !l.IsFinished() || l.Size() != int64(len(w.text)) {
					t.Errorf("frame %d: %d frames are damaged, finished %t, %d bytes", i, damaged, l.IsFinished(), l.Size())
				}
				lost := w.pieces[i]
				text := content(t, l)[lost.offset:lost.end]
				if !bytes.HasPrefix(text, []byte("… ")) || !bytes.Contains(text[:120], []byte("cannot be read: they are damaged on the server's disk")) {
					t.Errorf("frame %d says %q", i, text[:120])
				}
			}
		})
	}
}

func TestADamagedTailOfAFinishedLogCostsOnlyARecord(t *testing.T) {
	w := writeLog(t, true)
	tail := bytes.Clone(w.tail)
	tail[30] ^= 0xff // in the first record's text
	l := w.open(t, w.frames, tail)
	w.expectWholePieces(t, l, w.frames)
	if got := content(t, l); len(got) != len(w.text) || !bytes.HasSuffix(got, []byte("of two lines\n")) || !l.IsFinished() {
		t.Errorf("%d bytes of %d, to %q", len(got), len(w.text), got[len(got)-30:])
	}
}

func TestALogWhoseFramesAreGoneStillShowsItsTail(t *testing.T) {
	w := writeLog(t, true)
	l := w.open(t, nil, w.tail)
	lines, err := l.Read(l.Lines()-2, 2)
	if err != nil || len(lines) != 2 || string(lines[1].Text) != "of two lines" || l.Size() != int64(len(w.text)) {
		t.Errorf("%d bytes, %+v, %v", l.Size(), lines, err)
	}
}

func TestDamageBeforeTheLastWriteStaysWhereALogGrowsOn(t *testing.T) {
	w := writeLog(t, false)
	frames := bytes.Clone(w.frames)
	frames[w.pieces[1].from+70] ^= 0xff
	frames[w.pieces[2].from+5] ^= 0xff
	l := w.open(t, frames, w.tail)
	if damaged := w.expectWholePieces(t, l, frames); damaged != 2 || l.Size() != int64(len(w.text)) {
		t.Errorf("%d damaged, %d bytes", damaged, l.Size())
	}
	add(t, l, []byte("and on it goes\n"), noon)
	if _, err := l.Append(1_000_000, w.text[1_000_000:3_000_000], noon); err != nil {
		t.Errorf("what is damaged came again: %v", err)
	}
}

func TestWhatWasWrittenLastAndIsNotWholeIsAskedForAgain(t *testing.T) {
	w := writeLog(t, false)
	for _, i := range []int{len(w.pieces) - 1, len(w.pieces) - 2} {
		frames := bytes.Clone(w.frames)
		copy(frames[w.pieces[i].from:], make([]byte, 500)) // as after a loss of power
		l := w.open(t, frames, w.tail)
		if l.Size() != int64(w.pieces[i].offset) {
			t.Errorf("without frame %d: %d bytes, want %d", i, l.Size(), w.pieces[i].offset)
		}
		add(t, l, w.text[l.Size():], noon)
		if got := content(t, l); !bytes.Equal(got, w.text) {
			t.Errorf("after it came again: %d bytes", len(got))
		}
	}
}

// FuzzDamage changes, cuts and lengthens the files of a log. Whatever was done, it opens, every line and byte of it can be
// read, what nobody touched is right, and it goes on where it ends.
func FuzzDamage(f *testing.F) {
	finished, growing := writeLog(f, true), writeLog(f, false)
	f.Add(true, uint32(60), []byte{1}, uint32(0), []byte{})
	f.Add(true, uint32(0), make([]byte, 48), uint32(20), []byte{7})
	f.Add(false, uint32(1<<31), []byte{}, uint32(1<<31), []byte{})
	f.Add(false, uint32(500_000), []byte("Tpf1"), uint32(3), []byte("TpT1"))
	f.Fuzz(func(t *testing.T, sealed bool, frameAt uint32, frameBytes []byte, tailAt uint32, tailBytes []byte) {
		w := growing
		if sealed {
			w = finished
		}
		frames, tail := damage(w.frames, frameAt, frameBytes), damage(w.tail, tailAt, tailBytes)
		l := w.open(t, frames, tail)
		if sealed && bytes.Equal(tail, w.tail) {
			w.expectWholePieces(t, l, frames)
			if l.Size() != int64(len(w.text)) {
				t.Fatalf("%d bytes of %d", l.Size(), len(w.text))
			}
		}
		if int64(len(content(t, l))) != l.Size() {
			t.Fatal("not every byte can be read")
		}
		for from, step := int64(0), max(1, l.Lines()/7); from < l.Lines(); from += step {
			if lines, err := l.Read(from, 2); err != nil || len(lines) == 0 || lines[0].Number != from {
				t.Fatalf("line %d of %d: %+v, %v", from, l.Lines(), lines, err)
			}
		}
		if !l.IsFinished() {
			add(t, l, numbered(0, 20_000), noon)
		}
	})
}

// damage overwrites bytes, or cuts the file where there are none; the highest bit cuts it into half first.
func damage(content []byte, at uint32, by []byte) []byte {
	content = bytes.Clone(content)
	if at&(1<<31) != 0 {
		content = content[:len(content)/2]
	}
	where := int(at&^(1<<31)) % (len(content) + 1)
	if len(by) == 0 && where > 0 {
		return content[:where]
	}
	return append(content[:where:where], append(by, content[min(len(content), where+len(by)):]...)...)
}

package artifact_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/towpath-cd/towpath/internal/artifact"
)

// parcel is a tree's pack as its sender has it.
type parcel struct {
	*artifact.Packing
	manifest artifact.Manifest
	content  []byte
}

func newParcel(t *testing.T, files map[string]string) parcel {
	t.Helper()
	dir := tree(t, files)
	m := scan(t, dir)
	p, err := artifact.NewPacking(dir, m, m.Digests())
	if err != nil {
		t.Fatal(err)
	}
	return parcel{p, m, pack(t, dir, m, m.Digests())}
}

func (p parcel) upload(t *testing.T, store *artifact.Store) *artifact.Upload {
	t.Helper()
	u := store.Upload("worker-7", p.Digest())
	t.Cleanup(u.Close)
	return u
}

func stands(t *testing.T, u *artifact.Upload, want int) {
	t.Helper()
	if size, stored, err := u.Standing(); size != int64(want) || stored || err != nil {
		t.Fatalf("it stands at %d of %d, stored %t, %v", size, want, stored, err)
	}
}

// cutAfter is a connection that breaks once its content was read.
func cutAfter(content []byte) io.Reader {
	return io.MultiReader(bytes.NewReader(content), brokenReader{})
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func TestAnUploadGoesOnWhereItBroke(t *testing.T) {
	p := newParcel(t, map[string]string{"big": string(random(2<<20, 3)), "small": "s"})
	at, half := t.TempDir(), len(p.content)/2
	u := p.upload(t, openStore(t, at, artifact.Options{}))
	if err := u.Finish(t.Context(), 0, cutAfter(p.content[:half])); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Fatalf("cut in the middle: %v", err)
	}
	stands(t, u, half)

	store := openStore(t, at, artifact.Options{}) // a restart
	u = p.upload(t, store)
	stands(t, u, half)
	if err := u.Append(int64(half), cutAfter(p.content[half:half+1000])); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Fatalf("cut again: %v", err)
	}
	for _, offset := range []int64{int64(half) + 1001, int64(half), 0, -1} {
		var expected *artifact.OffsetError
		err := u.Finish(t.Context(), offset, bytes.NewReader(p.content))
		if !errors.As(err, &expected) || expected.Expected != int64(half)+1000 {
			t.Errorf("from %d: %v", offset, err)
		}
	}
	if err := u.Finish(t.Context(), int64(half)+1000, bytes.NewReader(p.content[half+1000:])); err != nil {
		t.Fatal(err)
	}
	if _, stored, err := u.Standing(); !stored || err != nil {
		t.Errorf("it is not stored: %v", err)
	}
	d, err := store.PutManifest(p.manifest.Encode())
	if err != nil {
		t.Fatal(err)
	}
	fetch(t, store, d)
	leavesNothing(t, at)
}

func leavesNothing(t *testing.T, at string) {
	t.Helper()
	if left, err := filepath.Glob(filepath.Join(at, "incoming", "*")); len(left) > 0 || err != nil {
		t.Errorf("%v is left (%v)", left, err)
	}
}

func TestAWrongByteBeginsAnUploadAnew(t *testing.T) {
	p := newParcel(t, map[string]string{"big": string(random(2<<20, 3)), "small": "s"})
	other := newParcel(t, map[string]string{"big": "another tree"})
	half := len(p.content) / 2
	tests := map[string]struct{ before, rest []byte }{
		"in what came before":  {flip(p.content[:half], half-100), p.content[half:]},
		"in the rest":          {p.content[:half], flip(p.content[half:], 1000)},
		"cut":                  {p.content[:half], p.content[half : len(p.content)-1]},
		"too long":             {p.content[:half], append(bytes.Clone(p.content[half:]), 0)},
		"another pack":         {nil, other.content},
		"more than is allowed": {p.content, p.content},
	}
	for name, tt := range tests {
		at := t.TempDir()
		store := openStore(t, at, artifact.Options{MaxPackBytes: int64(len(p.content)) + 1})
		u := p.upload(t, store)
		if err := u.Append(0, bytes.NewReader(tt.before)); err != nil {
			t.Fatal(err)
		}
		err := u.Finish(t.Context(), int64(len(tt.before)), bytes.NewReader(tt.rest))
		if !errors.Is(err, artifact.ErrMalformed) && !errors.Is(err, artifact.ErrMismatch) && !errors.Is(err, artifact.ErrTooLarge) {
			t.Errorf("%s: %v", name, err)
		}
		stands(t, u, 0)
		leavesNothing(t, at)
		if used := store.Usage(); used != (artifact.Usage{}) {
			t.Errorf("%s: something was stored: %+v", name, used)
		}
		if err := u.Finish(t.Context(), 0, bytes.NewReader(p.content)); err != nil {
			t.Errorf("%s, then the right one: %v", name, err)
		}
	}
}

// TestWhoGoesOnTakesTheUploadOver has a connection that is dead without a word hold an upload.
func TestWhoGoesOnTakesTheUploadOver(t *testing.T) {
	p := newParcel(t, map[string]string{"big": string(random(1<<20, 3))})
	store := openStore(t, t.TempDir(), artifact.Options{})
	u := p.upload(t, store)
	slow, hangs := io.Pipe()
	ended := make(chan error, 1)
	go func() { ended <- u.Finish(t.Context(), 0, slow) }()
	if _, err := hangs.Write(p.content[:1000]); err != nil {
		t.Fatal(err)
	}
	if _, err := hangs.Write(nil); err != nil { // the first bytes were taken when the next read begins
		t.Fatal(err)
	}
	u.Settle(t.Context()) // and does not wait for ever
	stands(t, u, 1000)
	if err := u.Append(1000, bytes.NewReader(p.content[1000:2000])); err != nil {
		t.Fatal(err)
	}
	if _, err := hangs.Write(p.content[1000:3000]); err != nil {
		t.Fatal(err)
	}
	var taken *artifact.OffsetError
	if err := <-ended; !errors.As(err, &taken) || taken.Expected != 2000 {
		t.Errorf("the one before ended with %v", err)
	}
	stands(t, u, 2000)
	if err := u.Finish(t.Context(), 2000, bytes.NewReader(p.content[2000:])); err != nil {
		t.Fatal(err)
	}
}

func TestAnUploadThatNobodyGoesOnWithIsSwept(t *testing.T) {
	p := newParcel(t, map[string]string{"big": string(random(1<<20, 3))})
	c := &clock{at: time.Now()}
	at := t.TempDir()
	store := openStore(t, at, artifact.Options{Now: c.now})
	u := store.Upload("worker-7", p.Digest())
	if err := u.Append(0, bytes.NewReader(p.content[:1000])); err != nil {
		t.Fatal(err)
	}
	sweep := func() {
		t.Helper()
		if _, err := store.Sweep(t.Context(), func(artifact.Digest) bool { return true }); err != nil {
			t.Fatal(err)
		}
	}
	c.advance(50 * time.Minute)
	sweep()
	stands(t, u, 1000)
	c.advance(20 * time.Minute)
	sweep() // somebody is about to go on with it
	stands(t, u, 1000)
	u.Close()
	sweep()
	leavesNothing(t, at)
}

func TestAStreamGoesOnAtAnyOffset(t *testing.T) {
	files := many(300)
	files["big"], files["empty"] = string(random(3<<20, 4)), ""
	dir := tree(t, files)
	at := t.TempDir()
	store := openStore(t, at, artifact.Options{})
	keep(t, store, dir)
	for _, name := range []string{"d00/e0/file-00000.js", "d01/e1/file-00001.js"} { // now one pack is wanted in part, and one whole
		if err := os.Remove(filepath.Join(dir, filepath.FromSlash(name))); err != nil {
			t.Fatal(err)
		}
	}
	put(t, filepath.Join(dir, "new"), string(random(600_000, 5)))
	_, m := keep(t, store, dir)
	stream := func() *artifact.Stream {
		t.Helper()
		s, err := openStore(t, at, artifact.Options{}).Stream(m.Digests()) // which remembers nothing
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	var whole bytes.Buffer
	first := stream()
	if err := first.WriteFrom(t.Context(), &whole, 0); err != nil {
		t.Fatal(err)
	}
	for _, from := range []*artifact.Stream{first, stream()} {
		if from.Identity() != first.Identity() {
			t.Fatal("it has another name after a restart")
		}
		for offset := 0; offset <= whole.Len()+70_000; offset += 67_891 {
			var rest bytes.Buffer
			err := from.WriteFrom(t.Context(), &rest, int64(offset))
			if want := whole.Bytes()[min(offset, whole.Len()):]; err != nil || !bytes.Equal(rest.Bytes(), want) {
				t.Fatalf("from %d: %d bytes and not %d, or others (%v)", offset, rest.Len(), len(want), err)
			}
		}
	}
}

func TestAPackingGoesOnAtAnyOffset(t *testing.T) {
	files := many(200)
	files["big"], files["empty"] = string(random(2<<20, 4)), ""
	p := newParcel(t, files)
	if _, known := p.Length(); known {
		t.Error("its length is known before it was made")
	}
	for _, step := range []int{len(p.content) + 1, 50_021} { // from the end on, when nothing is known, and then in order
		for offset := len(p.content) % step; offset <= len(p.content)+step; offset += step {
			var rest bytes.Buffer
			err := p.WriteFrom(t.Context(), &rest, int64(offset))
			if want := p.content[min(offset, len(p.content)):]; err != nil || !bytes.Equal(rest.Bytes(), want) {
				t.Fatalf("from %d: %d bytes and not %d, or others (%v)", offset, rest.Len(), len(want), err)
			}
		}
	}
	if length, known := p.Length(); !known || length != int64(len(p.content)) {
		t.Errorf("its length is %d of %d", length, len(p.content))
	}
}

package artifact_test

import (
	"bytes"
	"errors"
	"hash/crc32"
	"os"
	"path/filepath"
	"testing"

	"github.com/towpath-cd/towpath/internal/artifact"
)

func flip(content []byte, at int) []byte {
	changed := bytes.Clone(content)
	changed[at] ^= 1
	return changed
}

// resum makes the checksum of a pack's table right again, as a liar would.
func resum(content []byte) []byte {
	count := int(content[4])
	at := 8 + count*40
	if at+4 > len(content) {
		return content
	}
	sum := crc32.Checksum(content[:at], crc32.MakeTable(crc32.Castagnoli))
	for i := range 4 {
		content[at+i] = byte(sum >> (8 * i))
	}
	return content
}

func TestWhatIsNotTheTreeIsNotUnpacked(t *testing.T) {
	source := tree(t, map[string]string{"a": "1", "b": "2"})
	m := scan(t, source)
	other := tree(t, map[string]string{"x": "not asked for"})
	strange := scan(t, other)
	whole := pack(t, source, m, m.Digests())
	lying := append(artifact.Manifest(nil), m[0])
	lying[0].Size = 2
	for name, c := range map[string]struct {
		packs  []byte
		m      artifact.Manifest
		limits artifact.Limits
		want   error
	}{
		"missing blob": {pack(t, source, m, m.Digests()[:1]), m, artifact.Limits{}, artifact.ErrNotFound},
		"strange blob": {append(bytes.Clone(whole), pack(t, other, strange, strange.Digests())...), m, artifact.Limits{}, artifact.ErrMalformed},
		"cut":          {whole[:len(whole)-1], m, artifact.Limits{}, artifact.ErrMalformed},
		"changed":      {flip(whole, len(whole)-1), m, artifact.Limits{}, artifact.ErrMismatch},
		"wrong size":   {whole, lying, artifact.Limits{}, artifact.ErrMismatch},
		"too many":     {whole, m, artifact.Limits{Entries: 1}, artifact.ErrTooLarge},
		"too big":      {whole, m, artifact.Limits{Bytes: 1}, artifact.ErrTooLarge},
		"outside":      {whole, artifact.Manifest{{Path: "../a", Kind: artifact.File, Size: 1, Digest: m[0].Digest}}, artifact.Limits{}, artifact.ErrUnsafe},
	} {
		dir := filepath.Join(t.TempDir(), "in", "tree")
		err := artifact.Unpack(t.Context(), bytes.NewReader(c.packs), c.m, dir, c.limits)
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
		if left, _ := filepath.Glob(filepath.Join(filepath.Dir(dir), "*", "*")); len(left) > 0 {
			t.Errorf("%s left %v", name, left)
		}
	}
}

func TestAFolderInUseIsLeftAlone(t *testing.T) {
	source := tree(t, map[string]string{"a": "1"})
	m := scan(t, source)
	used := tree(t, map[string]string{"mine": "x"})
	err := artifact.Unpack(t.Context(), bytes.NewReader(pack(t, source, m, m.Digests())), m, used, artifact.Limits{})
	if !errors.Is(err, artifact.ErrOccupied) {
		t.Errorf("unpacked into a folder in use: %v", err)
	}
	if content, err := os.ReadFile(filepath.Join(used, "mine")); string(content) != "x" || err != nil {
		t.Errorf("what was there is %q, %v", content, err)
	}
}

func TestManyFilesOfOneContentNeedFewOpenFiles(t *testing.T) {
	files := make(map[string]string)
	for i := range 3000 {
		files[filepath.Join("d", string(rune('a'+i%26)), "f", string(rune('A'+i/26)))] = ""
	}
	store := openStore(t, t.TempDir(), artifact.Options{})
	d, _ := keep(t, store, tree(t, files))
	fetch(t, store, d)
}

func FuzzUnpack(f *testing.F) {
	dir := tree(f, map[string]string{"a": "hello", "b": string(bytes.Repeat([]byte("text "), 200)), "c": ""})
	m := scan(f, dir)
	good := pack(f, dir, m, m.Digests())
	f.Add(good)
	f.Add(resum(flip(good, 10)))
	f.Fuzz(func(t *testing.T, packs []byte) {
		into := t.TempDir()
		err := artifact.Unpack(t.Context(), bytes.NewReader(packs), m, into, artifact.Limits{})
		if err == nil {
			err = artifact.Verify(t.Context(), into, m)
		} else if left, _ := os.ReadDir(into); len(left) == 0 {
			return
		}
		if err != nil {
			t.Errorf("unpacked, and not the tree: %v", err)
		}
	})
}

func FuzzPutPack(f *testing.F) {
	dir := tree(f, map[string]string{"a": "hello", "b": string(bytes.Repeat([]byte("text "), 200)), "c": ""})
	m := scan(f, dir)
	good := pack(f, dir, m, m.Digests())
	f.Add(good)
	f.Add(good[:60])
	f.Add(resum(flip(good, 4)))
	store := openStore(f, f.TempDir(), artifact.Options{})
	f.Fuzz(func(t *testing.T, content []byte) {
		before := store.Usage()
		if err := store.PutPack(t.Context(), bytes.NewReader(resum(append(bytes.Clone(content), make([]byte, 8)...))[:len(content)])); err != nil && store.Usage() != before {
			t.Errorf("refused, and stored: %v", err)
		}
	})
}

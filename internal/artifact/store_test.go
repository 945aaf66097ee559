package artifact_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/towpath-cd/towpath/internal/artifact"
)

func TestATreeComesBackAsItWas(t *testing.T) {
	files := many(500)
	files["big"], files["run*"], files["copy-of-big"] = string(random(3<<20, 1)), "#!/bin/sh", string(random(3<<20, 1))
	dir := tree(t, files)
	if err := errors.Join(os.Mkdir(filepath.Join(dir, "empty"), 0o755), os.Symlink("big", filepath.Join(dir, "link"))); err != nil {
		t.Fatal(err)
	}
	at := t.TempDir()
	d, m := keep(t, openStore(t, at, artifact.Options{}), dir)
	fetch(t, openStore(t, at, artifact.Options{}), d) // also after a restart

	reader, err := openStore(t, at, artifact.Options{}).Open(m[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	content, err := io.ReadAll(reader)
	if err != nil || artifact.DigestOf(content) != m[0].Digest {
		t.Errorf("opened alone: %d bytes, %v", len(content), err)
	}
}

func TestOnlyWhatIsMissingTravels(t *testing.T) {
	files := many(200)
	dir := tree(t, files)
	store := openStore(t, t.TempDir(), artifact.Options{})
	keep(t, store, dir)
	put(t, filepath.Join(dir, "new"), "new")
	m := scan(t, dir)
	if missing := store.Missing(m.Digests()); len(missing) != 1 || missing[0] != artifact.DigestOf([]byte("new")) {
		t.Errorf("missing %v", missing)
	}
	d, _ := keep(t, store, dir)
	fetch(t, store, d)
	if used := store.Usage(); used.Packs != 2 || used.Blobs != len(m.Digests()) {
		t.Errorf("usage %+v", used)
	}
}

func TestTheSizeOfATreeIsKnownForAsLongAsItIsStored(t *testing.T) {
	at, dir := t.TempDir(), tree(t, map[string]string{"a": "one", "b": "two and three"})
	if err := os.Symlink("a", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	c := &clock{at: time.Now()}
	store := openStore(t, at, artifact.Options{Now: c.now})
	d, _ := keep(t, store, dir)
	for _, s := range []*artifact.Store{store, openStore(t, at, artifact.Options{})} { // that stored it, and one after a restart
		if size, err := s.SizeOf(d); err != nil || size != (artifact.Size{Entries: 3, Bytes: 16}) {
			t.Errorf("its size is %+v, %v", size, err)
		}
	}
	c.advance(2 * time.Hour)
	if _, err := store.Sweep(t.Context(), func(artifact.Digest) bool { return false }); err != nil {
		t.Fatal(err)
	}
	if size, err := store.SizeOf(d); !errors.Is(err, artifact.ErrNotFound) {
		t.Errorf("its size after it was swept is %+v, %v", size, err)
	}
}

func TestAManifestWaitsForItsBlobs(t *testing.T) {
	dir := tree(t, many(10))
	m := scan(t, dir)
	store := openStore(t, t.TempDir(), artifact.Options{})
	_, err := store.PutManifest(m.Encode())
	var missing *artifact.MissingError
	if !errors.As(err, &missing) || len(missing.Digests) != 10 {
		t.Fatalf("without blobs: %v", err)
	}
	keep(t, store, dir)
	m[0].Size++
	if _, err := store.PutManifest(m.Encode()); !errors.Is(err, artifact.ErrMismatch) {
		t.Errorf("with a wrong size: %v", err)
	}
	if _, err := store.Manifest(m.Digest()); !errors.Is(err, artifact.ErrNotFound) {
		t.Errorf("the refused one: %v", err)
	}
}

func TestABadPackChangesNothing(t *testing.T) {
	dir := tree(t, map[string]string{"a": string(random(700_000, 2)), "b": strings.Repeat("text ", 50_000)})
	m := scan(t, dir)
	good := pack(t, dir, m, m.Digests())
	at := t.TempDir()
	store := openStore(t, at, artifact.Options{MaxPackBytes: int64(len(good))})
	bad := map[string][]byte{
		"empty": nil, "no pack": []byte("hello, this is no pack"), "cut": good[:len(good)-1], "cut table": good[:40],
		"twice": append(bytes.Clone(good), good...), "changed": flip(good, len(good)/2), "changed table": flip(good, 20),
		"changed digest": resum(flip(good, 10)), "count": resum(flip(good, 6)), "too long": append(bytes.Clone(good), 0),
	}
	for name, content := range bad {
		err := store.PutPack(t.Context(), bytes.NewReader(content))
		if !errors.Is(err, artifact.ErrMalformed) && !errors.Is(err, artifact.ErrMismatch) && !errors.Is(err, artifact.ErrTooLarge) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if used := store.Usage(); used != (artifact.Usage{}) {
		t.Errorf("something was stored: %+v", used)
	}
	if left, err := filepath.Glob(filepath.Join(at, "*", "*")); len(left) > 0 || err != nil {
		t.Errorf("something was left: %v", left)
	}
	if err := errors.Join(store.PutPack(t.Context(), bytes.NewReader(good)), store.PutPack(t.Context(), bytes.NewReader(good))); err != nil {
		t.Errorf("the good one, twice: %v", err)
	}
}

func TestASweepKeepsWhatIsKeptAndWhatIsYoung(t *testing.T) {
	c := &clock{at: time.Now().Add(24 * time.Hour)}
	store := openStore(t, t.TempDir(), artifact.Options{Now: c.now})
	kept, _ := keep(t, store, tree(t, map[string]string{"kept": "k", "shared": "s"}))
	gone, goneManifest := keep(t, store, tree(t, map[string]string{"gone": strings.Repeat("g", 1000), "shared": "s"}))
	only := func(d artifact.Digest) bool { return d == kept }

	// A worker was told that the blob is there, and is about to refer to it.
	store.Missing(goneManifest.Digests())
	if _, err := store.Sweep(t.Context(), only); err != nil {
		t.Fatal(err)
	}
	if missing := store.Missing(goneManifest.Digests()); len(missing) > 0 {
		t.Errorf("%d promised blobs are gone", len(missing))
	}
	if again, err := store.PutManifest(goneManifest.Encode()); again != gone || err != nil {
		t.Fatal(err)
	}

	c.advance(25 * time.Hour)
	swept, err := store.Sweep(t.Context(), only)
	if err != nil || swept.Packs != 1 || swept.Manifests != 1 {
		t.Errorf("swept %+v, %v", swept, err)
	}
	if missing := store.Missing(goneManifest.Digests()); len(missing) != 1 {
		t.Errorf("%d blobs of the removed tree are missing, want 1", len(missing))
	}
	fetch(t, store, kept)
}

func TestASweepRewritesAPackThatIsMostlyDead(t *testing.T) {
	c := &clock{at: time.Now()}
	at := t.TempDir()
	store := openStore(t, at, artifact.Options{Now: c.now})
	files := many(300)
	files["big"] = string(random(2<<20, 4))
	dir := tree(t, files)
	keep(t, store, dir)
	if err := os.Remove(filepath.Join(dir, "big")); err != nil {
		t.Fatal(err)
	}
	small, _ := keep(t, store, dir)
	c.advance(48 * time.Hour)
	swept, err := store.Sweep(t.Context(), func(d artifact.Digest) bool { return d == small })
	if err != nil || swept.Packs != 1 || swept.Bytes < 1<<20 {
		t.Errorf("swept %+v, %v", swept, err)
	}
	fetch(t, store, small)
	fetch(t, openStore(t, at, artifact.Options{}), small)
}

func TestAFileThatChangesWhileItIsPackedIsNoticed(t *testing.T) {
	for _, content := range []string{"12", "1x3", ""} {
		dir := tree(t, map[string]string{"a": "123"})
		m := scan(t, dir)
		put(t, filepath.Join(dir, "a"), content)
		from, to := io.Pipe()
		go func() { to.CloseWithError(artifact.WritePack(t.Context(), to, dir, m, m.Digests())) }()
		err := openStore(t, t.TempDir(), artifact.Options{}).PutPack(t.Context(), from)
		if !errors.Is(err, artifact.ErrMismatch) {
			t.Errorf("%q: %v", content, err)
		}
	}
}

package artifact_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/towpath-cd/towpath/internal/artifact"
)

// tree writes files into a new folder; a name that ends with "*" is executable.
func tree(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		put(t, filepath.Join(dir, filepath.FromSlash(name)), content)
	}
	return dir
}

func put(t testing.TB, path, content string) {
	t.Helper()
	mode := os.FileMode(0o644)
	if path[len(path)-1] == '*' {
		path, mode = path[:len(path)-1], 0o755
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
}

// many is a tree of n small files, all different.
func many(n int) map[string]string {
	files := make(map[string]string, n)
	for i := range n {
		files[fmt.Sprintf("d%02d/e%d/file-%05d.js", i%40, i%7, i)] = fmt.Sprintf("// file %d\n%s", i, bytes.Repeat([]byte("some code; "), i%300))
	}
	return files
}

func random(n int, seed uint64) []byte {
	content := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)}).Read(content)
	return content
}

func scan(t testing.TB, dir string) artifact.Manifest {
	t.Helper()
	m, err := artifact.Scan(t.Context(), artifact.Selection{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func pack(t testing.TB, dir string, m artifact.Manifest, digests []artifact.Digest) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := artifact.WritePack(t.Context(), &out, dir, m, digests); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

func openStore(t testing.TB, dir string, options artifact.Options) *artifact.Store {
	t.Helper()
	s, err := artifact.OpenStore(dir, options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// keep stores a tree as a worker does: what is missing, then the manifest.
func keep(t testing.TB, s *artifact.Store, dir string) (artifact.Digest, artifact.Manifest) {
	t.Helper()
	m := scan(t, dir)
	if missing := s.Missing(m.Digests()); len(missing) > 0 {
		if err := s.PutPack(t.Context(), bytes.NewReader(pack(t, dir, m, missing))); err != nil {
			t.Fatal(err)
		}
	}
	d, err := s.PutManifest(m.Encode())
	if err != nil {
		t.Fatal(err)
	}
	return d, m
}

// fetch unpacks a stored tree into a new folder, and checks it.
func fetch(t testing.TB, s *artifact.Store, d artifact.Digest) string {
	t.Helper()
	m, err := s.Manifest(d)
	if err != nil {
		t.Fatal(err)
	}
	var packs bytes.Buffer
	if err := s.Pack(t.Context(), &packs, m.Digests()); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "tree")
	if err := artifact.Unpack(t.Context(), &packs, m, dir, artifact.Limits{}); err != nil {
		t.Fatal(err)
	}
	if err := artifact.Verify(t.Context(), dir, m); err != nil {
		t.Fatal(err)
	}
	return dir
}

package keeper

import (
	"crypto/rand"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/client"
	"github.com/towpath-cd/towpath/internal/artifact"
)

// brittle is a server that sends a tree, and after so many bytes of a pack breaks off and is away for a while.
type brittle struct {
	*testing.T
	*artifact.Store
	manifest artifact.Manifest
	each     int64 // bytes
	isAway   bool
	sent     int64
	stream   string // another name for the same bytes; empty is the right one
}

func newBrittle(t *testing.T, size int) *brittle {
	t.Helper()
	content, dir := make([]byte, size), t.TempDir()
	_, _ = rand.Read(content)
	if err := os.WriteFile(filepath.Join(dir, "program"), content, 0o600); err != nil {
		t.Fatal(err)
	}
	m, err := artifact.Scan(t.Context(), artifact.Selection{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	store, err := artifact.OpenStore(t.TempDir(), artifact.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.Close)
	pack, packed := io.Pipe()
	go func() { packed.CloseWithError(artifact.WritePack(t.Context(), packed, dir, m, m.Digests())) }()
	if err := store.PutPack(t.Context(), pack); err != nil {
		t.Fatal(err)
	}
	return &brittle{T: t, Store: store, manifest: m, each: 1 << 40}
}

func (b *brittle) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if filepath.Base(filepath.Dir(r.URL.Path)) == "manifests" {
		_, _ = w.Write(b.manifest.Encode())
		return
	}
	if b.isAway {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	stream, err := b.Stream(b.manifest.Digests())
	if err != nil {
		b.Error(err)
	}
	named, offset := stream.Identity().String(), int64(0)
	if b.stream != "" {
		named = b.stream
	}
	if r.URL.Query().Get("stream") == named {
		offset, _ = strconv.ParseInt(r.URL.Query().Get("offset"), 10, 64)
	}
	w.Header().Set(client.HeaderStream, named)
	w.Header().Set(client.HeaderOffset, strconv.FormatInt(offset, 10))
	limited := &limitedWriter{w, b.each}
	err = stream.WriteFrom(r.Context(), limited, offset)
	b.sent += b.each - limited.left
	if err != nil {
		b.isAway = true
		panic(http.ErrAbortHandler)
	}
}

type limitedWriter struct {
	io.Writer
	left int64
}

func (l *limitedWriter) Write(p []byte) (int, error) {
	n, err := l.Writer.Write(p[:min(int64(len(p)), l.left)])
	l.left -= int64(n)
	if err == nil && n < len(p) {
		err = io.ErrClosedPipe
	}
	return n, err
}

func TestATreeThatWasFetchedInPartIsGoneOnWith(t *testing.T) {
	const size = 4 << 20
	b := newBrittle(t, size)
	server := httptest.NewServer(b)
	t.Cleanup(server.Close)
	c, err := client.New(server.URL, "key")
	if err != nil {
		t.Fatal(err)
	}
	from, folder := c.ArtifactsOfEnvironment("shop/production"), filepath.Join(t.TempDir(), "trees")
	release := towpath.Release{Artifacts: []towpath.Artifact{{Step: "build", Digest: b.manifest.Digest().String()}}}
	place := func() error {
		trees, err := openTrees(folder) // as a keeper that was just started
		if err != nil {
			t.Fatal(err)
		}
		trees.keep(map[string]bool{release.Artifacts[0].Digest: true})
		return trees.files(from)(t.Context(), release, t.TempDir())
	}
	b.each = size / 2
	var answered *client.Error
	if err := place(); !errors.As(err, &answered) || !answered.Temporary() {
		t.Fatalf("broken off: %v", err)
	}
	b.isAway, b.each = false, 1<<40
	if err := place(); err != nil {
		t.Fatal(err)
	}
	if b.sent > size+size/20 {
		t.Errorf("%d bytes were sent for %d", b.sent, size)
	}
	if left, _ := filepath.Glob(filepath.Join(folder, "*"+partSuffix)); len(left) > 0 {
		t.Errorf("%v is left", left)
	}
}

func TestATreeThatIsStoredOtherwiseNowIsFetchedAnew(t *testing.T) {
	b := newBrittle(t, 1<<20)
	server := httptest.NewServer(b)
	t.Cleanup(server.Close)
	c, err := client.New(server.URL, "key")
	if err != nil {
		t.Fatal(err)
	}
	trees, err := openTrees(filepath.Join(t.TempDir(), "trees"))
	if err != nil {
		t.Fatal(err)
	}
	fetch := func() error {
		file, err := trees.pack(t.Context(), c.ArtifactsOfEnvironment("shop/production"), b.manifest.Digest())
		if err == nil {
			err = file.Close()
		}
		return err
	}
	b.each = 1 << 19
	if fetch() == nil {
		t.Fatal("it did not break off")
	}
	b.isAway, b.each, b.stream = false, 1<<40, artifact.DigestOf([]byte("other bytes")).String()
	if err := fetch(); err != nil {
		t.Error(err)
	}
	trees.keep(nil)
	if left, _ := filepath.Glob(filepath.Join(trees.folder, "*")); len(left) > 0 {
		t.Errorf("%v is left", left)
	}
}

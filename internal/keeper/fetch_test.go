package keeper

import (
	"cmp"
	"crypto/rand"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"sync"
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

	mutex  sync.Mutex
	each   int64 // bytes; 0 is any number
	isAway bool
	sent   int64
	stream string // another name for the same bytes; empty is the right one
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
	return &brittle{T: t, Store: store, manifest: m}
}

func (b *brittle) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if filepath.Base(filepath.Dir(r.URL.Path)) == "manifests" {
		_, _ = w.Write(b.manifest.Encode())
		return
	}
	stream, err := b.Stream(b.manifest.Digests())
	if err != nil {
		b.Error(err)
		return
	}
	named, each, isAway := b.next(stream.Identity().String())
	if isAway {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	offset := int64(0)
	if r.URL.Query().Get("stream") == named {
		offset, _ = strconv.ParseInt(r.URL.Query().Get("offset"), 10, 64)
	}
	w.Header().Set(client.HeaderStream, named)
	w.Header().Set(client.HeaderOffset, strconv.FormatInt(offset, 10))
	if err := stream.WriteFrom(r.Context(), &limited{w, b, each}, offset); err != nil {
		panic(http.ErrAbortHandler)
	}
}

// next is how the next pack is sent: as which stream, and how much of it. After one that breaks off the server is away.
func (b *brittle) next(stream string) (named string, each int64, isAway bool) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	isAway, b.isAway = b.isAway, b.each > 0
	return cmp.Or(b.stream, stream), cmp.Or(b.each, 1<<40), isAway
}

// breaks has it break off after so many bytes; 0 has it be back, and whole.
func (b *brittle) breaks(each int64, stream string) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	b.each, b.stream, b.isAway = each, stream, false
}

func (b *brittle) hasSent() int64 {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	return b.sent
}

// limited is an answer that breaks off.
type limited struct {
	io.Writer
	from *brittle
	left int64
}

func (l *limited) Write(p []byte) (int, error) {
	n, err := l.Writer.Write(p[:min(int64(len(p)), l.left)])
	l.left -= int64(n)
	l.from.mutex.Lock()
	defer l.from.mutex.Unlock()
	l.from.sent += int64(n)
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
	b.breaks(size/2, "")
	var answered *client.Error
	if err := place(); !errors.As(err, &answered) || !answered.Temporary() {
		t.Fatalf("broken off: %v", err)
	}
	b.breaks(0, "")
	if err := place(); err != nil {
		t.Fatal(err)
	}
	if sent := b.hasSent(); sent > size+size/20 {
		t.Errorf("%d bytes were sent for %d", sent, size)
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
	b.breaks(1<<19, "")
	if fetch() == nil {
		t.Fatal("it did not break off")
	}
	b.breaks(0, artifact.DigestOf([]byte("other bytes")).String())
	if err := fetch(); err != nil {
		t.Error(err)
	}
	trees.keep(nil)
	if left, _ := filepath.Glob(filepath.Join(trees.folder, "*")); len(left) > 0 {
		t.Errorf("%v is left", left)
	}
}

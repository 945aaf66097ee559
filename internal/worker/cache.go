package worker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/towpath-cd/towpath/client"
	"github.com/towpath-cd/towpath/internal/artifact"
	"github.com/towpath-cd/towpath/internal/failpoint"
)

// maxManifest is how long a manifest may be, in bytes.
const maxManifest = 256 << 20

// cache keeps the artifacts that steps of this worker made or used, each as a manifest and a pack named by the
// manifest's digest. What it holds is checked whenever it is unpacked.
type cache struct {
	dir  string
	most int64 // bytes
}

func (c cache) path(d artifact.Digest, suffix string) string {
	return filepath.Join(c.dir, strings.TrimPrefix(d.String(), "sha256:")+suffix)
}

// unpack writes an artifact into dir, from the cache or from the server. dir must be missing.
func (c cache) unpack(ctx context.Context, server client.Artifacts, digest, dir string) error {
	d, err := artifact.ParseDigest(digest)
	if err != nil {
		return err
	}
	err = c.unpackKept(ctx, d, dir)
	if err == nil || ctx.Err() != nil {
		return err
	}
	m, err := fetchManifest(ctx, server, d)
	if err != nil {
		return err
	}
	entry := c.begin(m)
	err = fetchPack(ctx, server, d, m, dir, entry)
	entry.end(err == nil)
	return err
}

func (c cache) unpackKept(ctx context.Context, d artifact.Digest, dir string) error {
	content, err := os.ReadFile(c.path(d, ".manifest"))
	if err != nil {
		return err
	}
	m, err := artifact.DecodeManifest(content)
	if err != nil || m.Digest() != d {
		return errors.Join(artifact.ErrMismatch, err)
	}
	pack, err := os.Open(c.path(d, ".pack"))
	if err != nil {
		return err
	}
	defer pack.Close()
	now := time.Now()
	_ = os.Chtimes(pack.Name(), now, now) // it was needed: keep it longer than others
	return artifact.Unpack(ctx, pack, m, dir, artifact.Limits{})
}

func fetchManifest(ctx context.Context, server client.Artifacts, d artifact.Digest) (artifact.Manifest, error) {
	body, err := server.Manifest(ctx, d.String())
	if err != nil {
		return nil, err
	}
	defer body.Close()
	content, err := io.ReadAll(io.LimitReader(body, maxManifest))
	if err != nil {
		return nil, cut(err)
	}
	m, err := artifact.DecodeManifest(content)
	if err == nil && m.Digest() != d {
		err = artifact.ErrMismatch
	}
	if err != nil {
		return nil, fmt.Errorf("read the manifest %s: %w", d, err)
	}
	return m, nil
}

// fetchPack unpacks while it receives.
func fetchPack(
	ctx context.Context, server client.Artifacts, d artifact.Digest, m artifact.Manifest, dir string, entry *cacheEntry,
) error {
	if len(m.Digests()) == 0 {
		return artifact.Unpack(ctx, strings.NewReader(""), m, dir, artifact.Limits{})
	}
	body, err := server.Pack(ctx, d.String())
	if err != nil {
		return err
	}
	defer body.Close()
	received := &failing{from: io.TeeReader(body, entry)}
	if err := artifact.Unpack(ctx, received, m, dir, artifact.Limits{}); err != nil {
		return errors.Join(cut(received.err), err)
	}
	_, err = io.Copy(io.Discard, received)
	return cut(err)
}

// failing remembers how its source broke, which who reads from it may not tell.
type failing struct {
	from io.Reader
	err  error
}

func (f *failing) Read(p []byte) (int, error) {
	n, err := f.from.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		f.err = err
	}
	return n, err
}

// cut is the error of an answer that broke off: the server is away, and the call may be made again.
func cut(err error) error {
	if err == nil {
		return nil
	}
	return &client.Error{Code: "unavailable", Message: "the server's answer broke off: " + err.Error(), Err: err}
}

// cacheEntry is an artifact on its way into the cache. One that cannot be written is given up silently: the cache
// spares time, and nothing depends on it. A nil entry takes nothing.
type cacheEntry struct {
	cache    cache
	manifest artifact.Manifest
	pack     *os.File
	err      error
}

func (c cache) begin(m artifact.Manifest) *cacheEntry {
	pack, err := os.CreateTemp(c.dir, "new-*")
	return &cacheEntry{cache: c, manifest: m, pack: pack, err: err}
}

// Write never fails, for the one it is written beside.
func (e *cacheEntry) Write(p []byte) (int, error) {
	if e.err == nil {
		_, e.err = e.pack.Write(p)
	}
	return len(p), nil
}

// end keeps what was written, or throws it away.
func (e *cacheEntry) end(good bool) {
	if e == nil || e.pack == nil {
		return
	}
	err := errors.Join(e.err, e.pack.Close())
	d := e.manifest.Digest()
	if good && err == nil {
		place := failpoint.At("keep a pack")
		place.Before()
		err = errors.Join(
			os.WriteFile(e.cache.path(d, ".manifest"), e.manifest.Encode(), 0o600),
			os.Rename(e.pack.Name(), e.cache.path(d, ".pack")),
		)
		place.After()
	}
	if !good || err != nil {
		_ = os.Remove(e.pack.Name())
	}
	e.cache.trim()
}

// trim removes what was used longest ago until the rest is small enough.
func (c cache) trim() {
	entries, err := os.ReadDir(c.dir)
	if err != nil {
		return
	}
	var files []os.FileInfo
	for _, entry := range entries {
		if info, err := entry.Info(); err == nil && strings.HasSuffix(info.Name(), ".pack") {
			files = append(files, info)
		}
	}
	slices.SortFunc(files, func(a, b os.FileInfo) int { return b.ModTime().Compare(a.ModTime()) })
	sum := int64(0)
	for _, info := range files {
		if sum += info.Size(); sum > c.most {
			path := filepath.Join(c.dir, info.Name())
			_ = os.Remove(path)
			_ = os.Remove(strings.TrimSuffix(path, ".pack") + ".manifest")
		}
	}
}

// clear removes what a killed worker left half written.
func (c cache) clear() {
	halves, _ := filepath.Glob(filepath.Join(c.dir, "new-*"))
	for _, half := range halves {
		_ = os.Remove(half)
	}
}

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
)

// maxManifest is how long a manifest may be, in bytes.
const maxManifest = 256 << 20

// cache keeps the artifacts that steps of this worker made or used, each as a manifest and a pack named by the
// manifest's digest. What it holds is checked whenever it is unpacked.
type cache struct {
	dir      string
	most     int64 // bytes
	fetching *turns
}

func (c cache) path(d artifact.Digest, suffix string) string {
	return filepath.Join(c.dir, strings.TrimPrefix(d.String(), "sha256:")+suffix)
}

// unpack writes an artifact into dir, from the cache or from the server. dir must be missing. What another step is fetching
// is waited for.
func (c cache) unpack(ctx context.Context, server client.Artifacts, digest, dir string) error {
	d, err := artifact.ParseDigest(digest)
	if err != nil {
		return err
	}
	err = c.unpackKept(ctx, d, dir)
	if err == nil || ctx.Err() != nil {
		return err
	}
	giveBack, err := c.fetching.take(ctx, d)
	if err != nil {
		return err
	}
	defer giveBack()
	err = c.unpackKept(ctx, d, dir)
	if err == nil || ctx.Err() != nil {
		return err
	}
	m, err := fetchManifest(ctx, server, d)
	if err != nil {
		return err
	}
	return c.fetch(ctx, server, m, dir)
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

// cut is the error of an answer that broke off: the server is away, and the call may be made again.
func cut(err error) error {
	if err == nil {
		return nil
	}
	return &client.Error{Code: "unavailable", Message: "the server's answer broke off: " + err.Error(), Err: err}
}

// trim removes what was used longest ago until the rest is small enough.
func (c cache) trim() {
	entries, err := os.ReadDir(c.dir)
	if err != nil {
		return
	}
	var files []os.FileInfo
	for _, entry := range entries {
		info, err := entry.Info()
		switch {
		case err != nil: // it is gone
		case strings.HasSuffix(info.Name(), ".pack"):
			files = append(files, info)
		case strings.HasSuffix(info.Name(), partSuffix) && time.Since(info.ModTime()) > partTime:
			_ = os.Remove(filepath.Join(c.dir, info.Name()))
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

// clear removes what a killed worker left half written. What it had fetched in part is gone on with.
func (c cache) clear() {
	halves, _ := filepath.Glob(filepath.Join(c.dir, "new-*"))
	for _, half := range halves {
		_ = os.Remove(half)
	}
	c.trim()
}

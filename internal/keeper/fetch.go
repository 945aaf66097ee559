package keeper

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/towpath-cd/towpath/client"
	"github.com/towpath-cd/towpath/internal/artifact"
)

// partSuffix ends the name of a pack that was fetched in part, which holds the names of its tree and of the server's stream.
const partSuffix = ".part"

// pack answers a tree's pack. Two keepers that want the same one at once fetch it twice: seldom enough.
func (t *trees) pack(ctx context.Context, from source, d artifact.Digest) (*os.File, error) {
	if !t.begin(d) {
		return t.open(ctx, t.path(d, ".pack"), func(ctx context.Context) (io.ReadCloser, error) {
			return from.Pack(ctx, d.String(), client.PackPlace{})
		})
	}
	defer t.end(d)
	file, err := os.Open(t.path(d, ".pack"))
	if !errors.Is(err, os.ErrNotExist) {
		return file, err
	}
	part, err := t.fetch(ctx, from, d)
	if errors.Is(err, client.ErrOtherStream) { // of which nothing is here now
		part, err = t.fetch(ctx, from, d)
	}
	if err != nil {
		return nil, err
	}
	return named(part, t.path(d, ".pack"))
}

// fetch answers the file that holds the whole pack. When it fails, what has come is gone on with the next time.
func (t *trees) fetch(ctx context.Context, from source, d artifact.Digest) (path string, err error) {
	known, path := t.part(d)
	pack, err := from.Pack(ctx, d.String(), known)
	if err != nil {
		return "", err
	}
	defer pack.Close()
	if known.Offset == 0 {
		path = t.path(d, "."+strings.TrimPrefix(pack.Stream(), "sha256:")+partSuffix)
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return "", err
	}
	_, err = io.Copy(file, pack)
	err = errors.Join(err, file.Close())
	if errors.Is(err, client.ErrOtherStream) || err != nil && pack.Stream() == "" {
		err = errors.Join(err, os.Remove(path))
	}
	return path, err
}

// part answers what was fetched of a pack before, and where. What is there of a second stream is removed.
func (t *trees) part(d artifact.Digest) (known client.PackPlace, path string) {
	parts, _ := filepath.Glob(t.path(d, ".*"+partSuffix))
	for _, path = range parts {
		info, err := os.Stat(path)
		if len(parts) > 1 || err != nil || info.Size() == 0 {
			_ = os.Remove(path) // it is written anew, or told that it cannot be
			continue
		}
		_, stream, _ := strings.Cut(strings.TrimSuffix(filepath.Base(path), partSuffix), ".")
		return client.PackPlace{Stream: "sha256:" + stream, Offset: info.Size()}, path
	}
	return client.PackPlace{}, ""
}

func (t *trees) begin(d artifact.Digest) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.fetching[d] {
		return false
	}
	t.fetching[d] = true
	return true
}

func (t *trees) end(d artifact.Digest) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.fetching, d)
}

func (t *trees) isFetching(digest string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	d, err := artifact.ParseDigest(digest)
	return err == nil && t.fetching[d]
}

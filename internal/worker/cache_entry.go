package worker

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/towpath-cd/towpath/internal/artifact"
	"github.com/towpath-cd/towpath/internal/failpoint"
)

// partSuffix ends the name of a pack that was fetched in part, which holds the names of its tree and of the server's stream.
const partSuffix = ".part"

// partTime is how long such a pack is kept for somebody to go on with it.
const partTime = 24 * time.Hour

// errHole means that a part of a pack did not come by.
var errHole = errors.New("a part is missing")

// cacheEntry is an artifact on its way into the cache. One that cannot be written is given up silently: the cache
// spares time, and nothing depends on it. A nil entry takes nothing.
type cacheEntry struct {
	cache    cache
	manifest artifact.Manifest
	stream   string // whose bytes they are
	pack     *os.File
	size     int64 // bytes that are there, from the first on
	err      error
}

// begin makes an entry that is gone when it does not come to its end.
func (c cache) begin(m artifact.Manifest) *cacheEntry {
	pack, err := os.CreateTemp(c.dir, "new-*")
	return &cacheEntry{cache: c, manifest: m, pack: pack, err: err}
}

// beginPart makes an entry of a stream's bytes, with which a later call goes on. There is one of a tree.
func (c cache) beginPart(m artifact.Manifest, stream string) *cacheEntry {
	if stream == "" {
		return c.begin(m)
	}
	for _, old := range c.parts(m.Digest()) {
		_ = os.Remove(old)
	}
	name := c.path(m.Digest(), "."+strings.TrimPrefix(stream, "sha256:")+partSuffix)
	pack, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	return &cacheEntry{cache: c, manifest: m, stream: stream, pack: pack, err: err}
}

// part answers what was fetched of a tree before, or nil.
func (c cache) part(m artifact.Manifest) *cacheEntry {
	parts := c.parts(m.Digest())
	if len(parts) != 1 {
		return nil
	}
	pack, err := os.OpenFile(parts[0], os.O_RDWR, 0)
	if err != nil {
		return nil
	}
	info, err := pack.Stat()
	if err != nil || info.Size() == 0 {
		_ = pack.Close()
		return nil
	}
	_, stream, _ := strings.Cut(strings.TrimSuffix(filepath.Base(parts[0]), partSuffix), ".")
	return &cacheEntry{cache: c, manifest: m, stream: "sha256:" + stream, pack: pack, size: info.Size()}
}

func (c cache) parts(d artifact.Digest) []string {
	parts, _ := filepath.Glob(c.path(d, ".*"+partSuffix))
	return parts
}

// came answers what is there.
func (e *cacheEntry) came() io.Reader { return io.NewSectionReader(e.pack, 0, e.size) }

// at answers a writer of what comes at an offset, which may have come before. It never fails, for the one it is written
// beside.
func (e *cacheEntry) at(offset int64) io.Writer {
	if e == nil {
		return io.Discard
	}
	return &entryWriter{e, offset}
}

type entryWriter struct {
	*cacheEntry
	offset int64
}

func (w *entryWriter) Write(p []byte) (int, error) {
	if w.err == nil && w.offset > w.size {
		w.err = errHole
	}
	if w.err == nil {
		_, w.err = w.pack.WriteAt(p, w.offset)
		w.offset += int64(len(p))
		w.size = max(w.size, w.offset)
	}
	return len(p), nil
}

// holds says that so many bytes have come by.
func (e *cacheEntry) holds(length int64) bool { return e != nil && e.err == nil && e.size == length }

// end keeps what was written, or throws it away.
func (e *cacheEntry) end(good bool) {
	if e == nil || e.pack == nil {
		return
	}
	err := errors.Join(e.err, e.pack.Close())
	if good && err == nil {
		content := e.manifest.Encode()
		d := artifact.DigestOf(content)
		place := failpoint.At("keep a pack")
		place.Before()
		err = errors.Join(
			os.WriteFile(e.cache.path(d, ".manifest"), content, 0o600),
			os.Rename(e.pack.Name(), e.cache.path(d, ".pack")),
		)
		place.After()
	}
	if !good || err != nil {
		_ = os.Remove(e.pack.Name())
	}
	e.cache.trim()
}

// leave keeps what has come for a later call.
func (e *cacheEntry) leave() {
	if e.stream == "" || e.err != nil {
		e.end(false)
		return
	}
	_ = e.pack.Close() // what is not there is fetched again
}

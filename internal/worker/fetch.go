package worker

import (
	"context"
	"errors"
	"io"
	"strings"

	"github.com/towpath-cd/towpath/client"
	"github.com/towpath-cd/towpath/internal/artifact"
)

// unpackTries is how often a tree is fetched that does not come as what it should be.
const unpackTries = 3

// fetch unpacks a tree while it receives it, and goes on behind what was received before. Where that was not what it should
// be, or where the server sends other bytes now, all of it is fetched anew.
func (c cache) fetch(ctx context.Context, server client.Artifacts, m artifact.Manifest, dir string) error {
	if len(m.Digests()) == 0 {
		return artifact.Unpack(ctx, strings.NewReader(""), m, dir, artifact.Limits{})
	}
	for try := 1; ; try++ {
		err := c.fetchOnce(ctx, server, m, dir)
		if err == nil || try == unpackTries || ctx.Err() != nil || isPassing(err) || !isOfContent(err) {
			return err
		}
	}
}

func (c cache) fetchOnce(ctx context.Context, server client.Artifacts, m artifact.Manifest, dir string) error {
	e, known := c.part(m), client.PackPlace{}
	if e != nil {
		known = client.PackPlace{Stream: e.stream, Offset: e.size}
	}
	pack, err := server.Pack(ctx, m.Digest().String(), known)
	if err != nil {
		return err
	}
	if e == nil {
		e = c.beginPart(m, pack.Stream())
	}
	return receive(ctx, pack, e, dir)
}

// receive unpacks what has come and what is coming.
func receive(ctx context.Context, pack *client.Pack, e *cacheEntry, dir string) error {
	defer pack.Close()
	coming := &failing{from: io.TeeReader(pack, e.at(e.size))}
	all := io.MultiReader(e.came(), coming)
	err := artifact.Unpack(ctx, all, e.manifest, dir, artifact.Limits{})
	if err == nil {
		_, err = io.Copy(io.Discard, all)
	}
	switch {
	case err == nil:
		e.end(true)
		return nil
	case coming.err == nil && ctx.Err() == nil, errors.Is(coming.err, client.ErrOtherStream):
		e.end(false)
	default:
		e.leave()
	}
	return errors.Join(coming.err, err)
}

// isOfContent says that what came is not what it should be.
func isOfContent(err error) bool {
	return errors.Is(err, artifact.ErrMalformed) || errors.Is(err, artifact.ErrMismatch) ||
		errors.Is(err, artifact.ErrNotFound) || errors.Is(err, client.ErrOtherStream)
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

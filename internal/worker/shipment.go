package worker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"slices"
	"time"

	"github.com/towpath-cd/towpath/client"
	"github.com/towpath-cd/towpath/internal/artifact"
)

const (
	// partMost is how many bytes of a pack one call carries after a call broke: half as many for each that broke in a row,
	// because what lies in between may take no longer, and may hand nothing on before it has all of it.
	partMost = 64 << 20
	// partHalvings is how often.
	partHalvings = 10
	// partSmall is how many bytes a call carries once a proxy said that it takes no more: what most of them take, unless they
	// are told otherwise. partLeast is what it has to take.
	partSmall, partLeast = 1 << 20, partMost >> partHalvings
	// anewMost is how often a pack is sent from its beginning again that came together from parts, and was refused.
	anewMost = 2
	// checkLimit bounds the wait for the server's word on a pack all of which is sent. It goes on checking, and is asked again.
	checkLimit = 3 * time.Minute
)

var (
	errSilent = errors.New("the server took nothing for " + sendLimit.String())
	errStuck  = errors.New("the server takes nothing of the pack")
)

// shipment is how far a pack is sent.
type shipment struct {
	client.Artifacts
	pack   *artifact.Packing
	kept   *cacheEntry // may be nil
	known  bool        // the server knows uploads
	tail   bool        // what was sent last went on behind what was there before
	most   int64       // bytes that a proxy takes in one call; 0 is any number
	broken int         // calls that were not answered, less those that were
	stuck  int         // calls in a row that brought nothing
	anew   int         // how often it was sent from its beginning again
}

// send brings a pack to the server. It goes on where the server says that it stands, and waits for one that cannot be
// reached. The error is final, or that of ctx.
func (s *shipment) send(ctx context.Context) error {
	pause := callBackoff()
	for {
		stands, err := s.ask(ctx)
		for err == nil && !stands.Stored {
			before := stands.Offset
			if stands, err = s.part(ctx, before); err == nil && !stands.Stored && stands.Offset <= before {
				err = errStuck
			}
			if err == nil {
				pause.reset()
				s.broken, s.stuck = max(0, s.broken-1), 0
			}
		}
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case codeOf(err) == "not_found" && !s.known: // a server of the release before
			return s.whole(ctx)
		case !s.mayGoOn(err):
			return err
		}
		if stopped := pause.wait(ctx); stopped != nil {
			return stopped
		}
	}
}

// mayGoOn says whether the pack may come to the server after this error all the same.
func (s *shipment) mayGoOn(err error) bool {
	answered, _ := errors.AsType[*client.Error](err)
	switch {
	case errors.Is(err, errStuck):
		s.stuck++
		return s.stuck <= conflictTries
	case codeOf(err) == "invalid" && s.tail: // what was there may not have been what it should be, and is gone
		s.anew++
		return s.anew <= anewMost
	case answered != nil && answered.Status == http.StatusRequestEntityTooLarge: // said by a proxy
		s.most = min(s.limit(), 2*partSmall) / 2
		return s.most >= partLeast
	case !isPassing(err):
		return false
	}
	s.broken = min(s.broken+1, partHalvings)
	return true
}

// ask answers where the upload stands.
func (s *shipment) ask(ctx context.Context) (client.PackUpload, error) {
	ctx, cancel := context.WithTimeout(ctx, sendLimit)
	defer cancel()
	stands, err := s.AppendPack(ctx, s.pack.Digest().String(), 0, http.NoBody)
	s.known = s.known || err == nil
	return stands, err
}

// limit is how many bytes the next call carries at most.
func (s *shipment) limit() int64 {
	limit := int64(math.MaxInt64)
	if s.most > 0 {
		limit = s.most
	}
	if s.broken > 0 {
		limit = min(limit, partMost>>(s.broken-1))
	}
	return limit
}

// part sends what comes at an offset: all the rest, or, after a call that broke, a part of it.
func (s *shipment) part(ctx context.Context, offset int64) (client.PackUpload, error) {
	limit := s.limit()
	if limit == math.MaxInt64 {
		return s.rest(ctx, offset)
	}
	var part *io.LimitedReader
	stands, err := s.stream(ctx, offset, func(ctx context.Context, rest io.Reader) (client.PackUpload, error) {
		part = &io.LimitedReader{R: rest, N: limit}
		return s.AppendPack(ctx, s.pack.Digest().String(), offset, part)
	})
	if err == nil && part.N > 0 && !stands.Stored { // that was all
		return s.rest(ctx, stands.Offset)
	}
	return stands, err
}

func (s *shipment) rest(ctx context.Context, offset int64) (client.PackUpload, error) {
	return s.stream(ctx, offset, func(ctx context.Context, rest io.Reader) (client.PackUpload, error) {
		return s.FinishPack(ctx, s.pack.Digest().String(), offset, rest)
	})
}

// stream packs from an offset on while a call sends it. The call is broken when it takes nothing for a while.
func (s *shipment) stream(
	ctx context.Context, offset int64, call func(context.Context, io.Reader) (client.PackUpload, error),
) (client.PackUpload, error) {
	s.tail = offset > 0
	content := newPipe()
	packed := make(chan error, 1)
	go func() {
		err := s.pack.WriteFrom(ctx, io.MultiWriter(s.kept.at(offset), content), offset)
		content.end(err)
		packed <- err
	}()
	watched := watch(ctx, content)
	stands, err := call(watched.ctx, watched)
	watched.end()
	content.leave() // the packer waits for a reader that may be gone
	if failed := <-packed; failed != nil && !errors.Is(failed, io.ErrClosedPipe) {
		return stands, failed
	}
	return stands, err
}

// whole sends the pack in one piece.
func (s *shipment) whole(ctx context.Context) error {
	_, err := s.stream(ctx, 0, func(ctx context.Context, pack io.Reader) (client.PackUpload, error) {
		return client.PackUpload{}, s.PutPack(ctx, pack)
	})
	if err != nil {
		return fmt.Errorf("send a pack in one piece: %w", err)
	}
	return nil
}

// takenMost is how many bytes of a pack are given to a connection at a time: a slow one has to have taken them by sendLimit.
const takenMost = 128 << 10

// watched is the content of a call that ends once nobody reads on for too long.
type watched struct {
	content *pipe
	ctx     context.Context //nolint:containedctx // it ends with the reading
	cancel  context.CancelCauseFunc
	silence *time.Timer
}

func watch(ctx context.Context, content *pipe) *watched {
	ctx, cancel := context.WithCancelCause(ctx)
	return &watched{content, ctx, cancel, time.AfterFunc(sendLimit, func() { cancel(errSilent) })}
}

func (w *watched) Read(p []byte) (int, error) {
	w.silence.Reset(sendLimit)
	n, err := w.content.Read(p)
	if err != nil {
		w.silence.Reset(checkLimit)
	}
	return n, err
}

// WriteTo is how the content of a call is read that is all of the rest.
func (w *watched) WriteTo(to io.Writer) (int64, error) {
	n, err := w.content.WriteTo(inPieces{w, to})
	w.silence.Reset(checkLimit)
	return n, err
}

// inPieces writes on what a watched content brings.
type inPieces struct {
	by *watched
	to io.Writer
}

func (p inPieces) Write(content []byte) (int, error) {
	sum := 0
	for piece := range slices.Chunk(content, takenMost) {
		p.by.silence.Reset(sendLimit)
		n, err := p.to.Write(piece)
		if sum += n; err != nil {
			return sum, err
		}
	}
	return sum, nil
}

func (w *watched) end() {
	w.silence.Stop()
	w.cancel(nil)
}

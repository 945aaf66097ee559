package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"time"
)

const (
	// packSilence is how long a pack's next byte is waited for before its connection counts as broken.
	packSilence = time.Minute
	// packTries is how often a pack that broke off is asked for again without another byte of it.
	packTries = 6
	packPause = 50 * time.Millisecond // before the first of them; it doubles
)

// ErrOtherStream says that the server does not have a stream any more that was read in part: what it sends now are the same
// blobs in other bytes.
var ErrOtherStream = errors.New("the server sends these blobs in other bytes now")

// PackPlace is how much of which stream of packs is known already. The zero value is the beginning of any.
type PackPlace struct {
	Stream string
	Offset int64 // bytes
}

// Pack is the blobs of a manifest as a stream of packs. When its connection breaks it goes on where it stood, through
// another one, unless several in a row bring nothing. Close it.
type Pack struct {
	ctx       context.Context //nolint:containedctx // a reader's calls have none of their own
	artifacts Artifacts
	digest    string
	place     PackPlace
	body      io.ReadCloser
	cancel    context.CancelCauseFunc
	silence   *time.Timer
	tries     int
}

// Pack answers the blobs of a manifest behind a place. There it asks the server with the first Read, which is an
// ErrOtherStream where the server has another stream now.
func (a Artifacts) Pack(ctx context.Context, manifestDigest string, behind PackPlace) (*Pack, error) {
	p := &Pack{ctx: ctx, artifacts: a, digest: manifestDigest, place: behind}
	if behind.Offset > 0 {
		return p, nil
	}
	if err := p.open(); err != nil {
		return nil, err
	}
	return p, nil
}

// Stream names the bytes, so that they can be gone on with later; empty where the server is too old for that.
func (p *Pack) Stream() string { return p.place.Stream }

func (p *Pack) open() error {
	ctx, cancel := context.WithCancelCause(p.ctx)
	silence := time.AfterFunc(packSilence, func() { cancel(errSilent) })
	answer, err := p.artifacts.packFrom(ctx, p.digest, p.place)
	if err == nil && p.place.Offset > 0 && answer.place != p.place {
		_ = answer.Close()
		err = ErrOtherStream
	}
	if err != nil {
		silence.Stop()
		cancel(nil)
		return err
	}
	p.body, p.place, p.cancel, p.silence = answer, answer.place, cancel, silence
	return nil
}

var errSilent = errors.New("nothing came for " + packSilence.String())

// Read hides breaks that it can go on behind.
func (p *Pack) Read(b []byte) (int, error) {
	for {
		n, err := p.read(b)
		p.place.Offset += int64(n)
		switch {
		case n > 0:
			p.tries = 0
			return n, nil // the error comes again
		case err == nil, errors.Is(err, io.EOF):
			return 0, err
		case p.ctx.Err() != nil || !mayGoOn(err) || p.place.Stream == "" || p.tries == packTries:
			return 0, brokenOff(err)
		}
		p.tries++
		if stopped := p.pause(); stopped != nil {
			return 0, stopped
		}
	}
}

func (p *Pack) read(b []byte) (int, error) {
	if p.body == nil {
		if err := p.open(); err != nil {
			return 0, err
		}
	}
	p.silence.Reset(packSilence)
	n, err := p.body.Read(b)
	p.silence.Stop() // who reads may take their time
	if err != nil && !errors.Is(err, io.EOF) {
		_ = p.Close()
		p.body = nil
	}
	return n, err
}

// mayGoOn says whether an error is the connection's, and not the server's last word.
func mayGoOn(err error) bool {
	answered, ok := errors.AsType[*Error](err)
	return !errors.Is(err, ErrOtherStream) && (!ok || answered.Temporary())
}

func (p *Pack) pause() error {
	pause := packPause << (p.tries - 1)
	timer := time.NewTimer(pause/2 + rand.N(pause/2+1))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-p.ctx.Done():
		return context.Cause(p.ctx)
	}
}

// brokenOff is the error of a pack that cannot be gone on with now. But for what the server said, it is unavailable.
func brokenOff(err error) error {
	if _, ok := errors.AsType[*Error](err); ok || errors.Is(err, ErrOtherStream) {
		return err
	}
	return &Error{Code: "unavailable", Message: fmt.Sprintf("the server's answer broke off: %s", err), Err: err}
}

// Close gives the connection back.
func (p *Pack) Close() error {
	if p.body == nil {
		return nil
	}
	p.silence.Stop()
	err := p.body.Close()
	p.cancel(nil)
	return err
}

package cli

import (
	"context"
	"errors"
	"time"

	"github.com/towpath-cd/towpath/client"
)

// patience says how a broken connection is made again.
type patience struct {
	first time.Duration // before the second try; it doubles from there on up to a few seconds
	most  time.Duration // how long a server may stay away, which may be busy with a new version of itself
}

// defaultPatience bears a restart of a machine.
var defaultPatience = patience{first: 250 * time.Millisecond, most: 3 * time.Minute}

// longestWait is the longest time between two tries.
const longestWait = 4 * time.Second

// retry counts how long a server has not answered.
type retry struct {
	console  *Console
	patience patience
	wait     time.Duration
	answered bool // ever
	since    time.Time
}

func (c *Console) newRetry() *retry {
	p := c.patience
	if p == (patience{}) {
		p = defaultPatience
	}
	return &retry{console: c, patience: p}
}

// succeeded is called with every sign of life.
func (r *retry) succeeded() { r.answered, r.wait = true, 0 }

// again waits until it is time for another try; it answers why there is none. An error of nil is a stream that ended
// without its last word, as a server's does that is told to stop.
func (r *retry) again(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if broken, ok := errors.AsType[*client.Error](err); err != nil && (!ok || !broken.Temporary() || !r.answered) {
		return err
	}
	if r.wait == 0 {
		r.wait, r.since = r.patience.first, time.Now()
		if err != nil {
			r.console.note("the connection broke; trying again")
		}
	} else if time.Since(r.since) > r.patience.most {
		if err == nil {
			err = errors.New("the server ends every stream at once")
		}
		return err
	}
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(r.wait):
		r.wait = min(2*r.wait, longestWait)
		return nil
	}
}

// following reads documents as they change, over as many connections as that takes.
type following[T any] struct {
	console *Console
	stream  func(context.Context, func(T) error) error // one connection
	see     func(T) (last bool, err error)
	tick    func() error // every second; nil where nothing moves
}

// run ends with the last document, with an error of see or tick, or when the server stays away.
func (f following[T]) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	documents, ended := make(chan T), make(chan error, 1)
	go func() { ended <- f.read(ctx, documents) }()
	over, err := f.show(documents, ended)
	cancel()
	if !over {
		if stopped := <-ended; err == nil && !errors.Is(stopped, context.Canceled) {
			return stopped
		}
	}
	return err
}

// show also answers whether the reader has ended.
func (f following[T]) show(documents <-chan T, ended <-chan error) (over bool, err error) {
	seconds := time.NewTicker(time.Second)
	defer seconds.Stop()
	for {
		select {
		case document := <-documents:
			if last, err := f.see(document); last || err != nil {
				return false, err
			}
		case err := <-ended:
			return true, err
		case <-seconds.C:
			if f.tick == nil {
				continue
			}
			if err := f.tick(); err != nil {
				return false, err
			}
		}
	}
}

func (f following[T]) read(ctx context.Context, documents chan<- T) error {
	retry := f.console.newRetry()
	for {
		err := f.stream(ctx, func(document T) error {
			retry.succeeded()
			select {
			case documents <- document:
				return nil
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		})
		if err := retry.again(ctx, err); err != nil {
			return err
		}
	}
}

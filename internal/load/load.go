// Package load sends requests without a break and checks every answer: what a user of an application would notice.
//
// Its clients never try again. A request has failed when no connection was had, the answer was not there in time, was
// cut, differs from the digest that it names, does not name its side, or has a status other than 2xx. HTTP/1.1 is
// spoken directly, because the standard client sends a request again by itself where a kept connection has gone.
package load

import (
	"cmp"
	"context"
	"sync"
	"time"
)

// failurePause is how long a client waits at least after a failure, so that a dead address is not asked without end.
const failurePause = 10 * time.Millisecond

// Options say what to ask, of whom and how hard. Each client sends one request at a time.
type Options struct {
	Address string        // host:port to connect to
	Find    Finder        // asked before each connection for where to connect to, instead of Address; Host has to be given then
	Host    string        // whom requests name; empty is Address
	Targets []Target      // asked in turn by each client
	Streams []string      // paths of streams, each held open all the time
	Kept    int           // clients that keep their connection
	Fresh   int           // further clients that connect anew for each request
	Pause   time.Duration // of a client between an answer and its next request
	Timeout time.Duration // for a whole answer, and for each piece of a stream; 10 s where it is 0
	Label   string        // header by which an answer names its side, such as "X-Release"; empty where there is none
}

// Finder answers host:port, as a resolver does.
type Finder func(ctx context.Context) (address string, err error)

// Target is something to ask for.
type Target struct {
	Path   string
	Digest bool // the answer must name its SHA-256 in Content-Digest (RFC 9530); where it does so unasked, it is checked too
}

// Load is requests being sent.
type Load struct {
	options  Options
	book     *book
	stopping chan struct{} // closed: no new requests
	stop     sync.Once
	cut      context.CancelFunc // ends streams
	clients  sync.WaitGroup
	streams  sync.WaitGroup
}

// Start begins to send requests. They end with Stop; when ctx ends they are cut, and what was cut is not counted.
func Start(ctx context.Context, o Options) *Load {
	o.Host, o.Timeout = cmp.Or(o.Host, o.Address), cmp.Or(o.Timeout, 10*time.Second)
	l := &Load{options: o, book: newBook(o.Kept + o.Fresh), stopping: make(chan struct{})}
	for n := range o.Kept + o.Fresh {
		c := &client{options: o, book: l.book, number: n, isFresh: n >= o.Kept}
		l.clients.Go(func() { l.send(ctx, c) })
	}
	held, cut := context.WithCancel(ctx)
	l.cut = cut
	for _, path := range o.Streams {
		l.streams.Go(func() { l.hold(held, path) })
	}
	return l
}

// send asks for one target after the other. Clients begin at different ones.
func (l *Load) send(ctx context.Context, c *client) {
	defer c.hangUp()
	for n := c.number; !l.isOver(ctx); n++ {
		ok := c.ask(ctx, l.options.Targets[n%len(l.options.Targets)])
		l.rest(ctx, ok)
	}
}

// hold keeps a stream open, and opens another where the other side has ended it.
func (l *Load) hold(ctx context.Context, path string) {
	for !l.isOver(ctx) {
		ok := stream{options: l.options, book: l.book, path: path}.follow(ctx)
		l.rest(ctx, ok)
	}
}

func (l *Load) rest(ctx context.Context, ok bool) {
	pause := l.options.Pause
	if !ok {
		pause = max(pause, failurePause)
	}
	if pause == 0 {
		return
	}
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-l.stopping:
	case <-ctx.Done():
	}
}

func (l *Load) isOver(ctx context.Context) bool {
	select {
	case <-l.stopping:
		return true
	default:
		return ctx.Err() != nil
	}
}

// Mark begins a new count of what each side answers, and answers the moment.
func (l *Load) Mark() time.Time { return l.book.mark() }

// Sides answers what each side has answered since the last Mark, by what its answers name.
func (l *Load) Sides() map[string]Side { return l.book.sidesNow() }

// Excuse has whole answers of a side with a status of 500 or above be counted apart from now on, because that side is
// known to be bad; an empty side ends it. Whatever else goes wrong with its answers has failed as ever, and so has such
// a status where it names another side, or none.
func (l *Load) Excuse(side string) { l.book.excuse(side) }

// Settle waits until every client has its answer to a request that it sent after this call: whatever was on its way
// before has been counted then.
func (l *Load) Settle(ctx context.Context) error { return l.book.settle(ctx) }

// Report answers what was sent and what failed so far.
func (l *Load) Report() Report { return l.book.report() }

// Stop sends no more requests, waits for the answers to those on their way, ends the streams, and answers the report.
func (l *Load) Stop() Report {
	l.stop.Do(func() { close(l.stopping) })
	l.clients.Wait()
	l.cut()
	l.streams.Wait()
	return l.book.report()
}

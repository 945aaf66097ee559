package proxy

import (
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"sync"
	"sync/atomic"
	"time"

	"github.com/towpath-cd/towpath/internal/proxy/control"
)

// backend is one instance as the data plane knows it. It lives as long as its route lists it with the same
// address and release, through every change of weights; what it has in flight and has done is counted here.
type backend struct {
	route   string
	id      string
	address string
	release int
	logger  *slog.Logger

	weight   atomic.Int64
	requests atomic.Int64 // in flight
	streams  atomic.Int64
	counters counters

	transport *http.Transport
	proxy     *httputil.ReverseProxy

	watched  atomic.Int32 // how many watch; finishing looks here before it takes the lock
	mu       sync.Mutex
	watchers map[chan struct{}]struct{}
}

func newBackend(route string, b control.Backend, bodies httputil.BufferPool, logger *slog.Logger) *backend {
	made := &backend{
		route:     route,
		id:        b.ID,
		address:   b.Address,
		release:   b.Release,
		logger:    logger.With("route", route, "backend", b.ID, "address", b.Address, "release", b.Release),
		transport: newTransport(),
		watchers:  make(map[chan struct{}]struct{}),
	}
	made.proxy = &httputil.ReverseProxy{
		Rewrite:      made.rewrite,
		Transport:    made.transport,
		BufferPool:   bodies,
		ErrorHandler: made.unreachable,
		ErrorLog:     slog.NewLogLogger(logger.Handler(), slog.LevelDebug),
	}
	return made
}

// newTransport is one a backend, so that its kept connections can be closed when it has been drained and its
// address may be given to another release. It follows no proxy settings of the environment, and tries again
// only what net/http holds for safe: an idempotent request on a kept connection that turned out to be dead.
func newTransport() *http.Transport {
	return &http.Transport{
		DialContext:         (&net.Dialer{Timeout: 5 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		MaxIdleConnsPerHost: 1024,
		// Below the five seconds after which common application servers close: who closes first cannot lose
		// a request that the other is just sending.
		IdleConnTimeout:    4 * time.Second,
		DisableCompression: true,
	}
}

func (b *backend) rewrite(r *httputil.ProxyRequest) {
	r.Out.URL.Scheme = "http"
	r.Out.URL.Host = b.address
	r.Out.Host = r.In.Host
	header := r.Out.Header
	if c := connectionOf(r.In.Context()); c != nil {
		// As SetXForwarded does, with values made once a connection.
		header["X-Forwarded-For"] = c.forwardedFor
		header["X-Forwarded-Proto"] = c.forwardedProto
		header["X-Forwarded-Host"] = []string{r.In.Host}
	}
}

// unreachable is the ReverseProxy's ErrorHandler: no answer began.
func (b *backend) unreachable(w http.ResponseWriter, r *http.Request, err error) {
	if f, ok := w.(*flight); ok {
		f.failure = err
	}
	if r.Context().Err() != nil {
		return // the client has gone
	}
	id := requestID()
	b.logger.Warn("backend did not answer", "request", id, "error", err)
	pageUnreachable().write(w, r, id)
}

func (b *backend) inFlight() control.InFlight {
	return control.InFlight{Requests: b.requests.Load(), Streams: b.streams.Load()}
}

func (b *backend) state() control.BackendState {
	return control.BackendState{
		Backend:  control.Backend{ID: b.id, Address: b.address, Release: b.release, Weight: int(b.weight.Load())},
		InFlight: b.inFlight(),
		Counters: b.counters.read(),
	}
}

// isStill reports whether b can go on as what a new table lists under its id.
func (b *backend) isStill(listed control.Backend) bool {
	return b.address == listed.Address && b.release == listed.Release
}

// begin counts a request before anyone can know that b was chosen for it.
func (b *backend) begin() { b.requests.Add(1) }

// turn makes a request in flight a stream; at no moment is it neither.
func (b *backend) turn() {
	b.streams.Add(1)
	b.endRequest()
}

func (b *backend) endRequest() {
	if b.requests.Add(-1) == 0 && b.watched.Load() > 0 {
		b.wake()
	}
}

func (b *backend) endStream() {
	if b.streams.Add(-1) == 0 && b.watched.Load() > 0 {
		b.wake()
	}
}

// watch sends to wake whenever requests or streams in flight reach zero or the weight changes, until
// unwatch. To miss nothing, watch first and look at the counts then.
func (b *backend) watch(wake chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.watchers[wake] = struct{}{}
	b.watched.Add(1)
}

func (b *backend) unwatch(wake chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.watchers, wake)
	b.watched.Add(-1)
}

func (b *backend) wake() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for wake := range b.watchers {
		select {
		case wake <- struct{}{}:
		default:
		}
	}
}

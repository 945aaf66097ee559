package proxy

import (
	"context"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// connections are the clients connected at the moment. The lock is taken when one comes or goes, never for a
// request.
type connections struct {
	// severed stands in a connection's target once the proxy has decided to cut it.
	severed *backend

	mu   sync.Mutex
	open map[net.Conn]*connection
	left chan struct{} // one slot: some connection went
}

func newConnections() *connections {
	return &connections{
		severed: new(backend),
		open:    make(map[net.Conn]*connection),
		left:    make(chan struct{}, 1),
	}
}

// connection is one client's. HTTP/1.1 has one request at a time on it, whose answer goes through flight.
type connection struct {
	net            net.Conn
	address        string // as the listener was asked for
	forwardedFor   []string
	forwardedProto []string

	// target is the backend of the request in flight, nil between requests. To end the request takes a swap
	// to nil, to cut the connection a swap to severed; one of the two wins, so a cut never hits the request
	// after the one it was meant for.
	target   atomic.Pointer[backend]
	isStream atomic.Bool
	flight   flight
}

type connectionKey struct{}
type addressKey struct{}

func connectionOf(ctx context.Context) *connection {
	c, _ := ctx.Value(connectionKey{}).(*connection)
	return c
}

// enter is an http.Server's ConnContext.
func (cs *connections) enter(ctx context.Context, conn net.Conn) context.Context {
	address, _ := ctx.Value(addressKey{}).(string)
	host, _, err := net.SplitHostPort(conn.RemoteAddr().String())
	if err != nil {
		host = conn.RemoteAddr().String()
	}
	c := &connection{net: conn, address: address, forwardedFor: []string{host}, forwardedProto: []string{"http"}}
	cs.mu.Lock()
	cs.open[conn] = c
	cs.mu.Unlock()
	return context.WithValue(ctx, connectionKey{}, c)
}

func (cs *connections) leave(conn net.Conn) {
	cs.mu.Lock()
	delete(cs.open, conn)
	cs.mu.Unlock()
	select {
	case cs.left <- struct{}{}:
	default:
	}
}

func (cs *connections) count() int {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	return len(cs.open)
}

// cut closes every connection whose request (or idleness: a nil target) is chosen, as it is at that moment.
func (cs *connections) cut(isChosen func(target *backend, isStream bool) bool) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	for _, c := range cs.open {
		target := c.target.Load()
		if target == cs.severed || !isChosen(target, target != nil && c.isStream.Load()) {
			continue
		}
		if c.target.CompareAndSwap(target, cs.severed) {
			c.net.Close()
		}
	}
}

// begin puts a request for b on the connection; false when the connection was cut meanwhile.
func (c *connection) begin(b *backend, w http.ResponseWriter, isLast bool) bool {
	c.isStream.Store(false)
	c.flight = flight{ResponseWriter: w, backend: b, conn: c, started: time.Now(), closing: isLast}
	return c.target.CompareAndSwap(nil, b)
}

// end takes it off again; false when it was cut.
func (c *connection) end(b *backend) bool { return c.target.CompareAndSwap(b, nil) }

package proxy

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

var errNotTCP = errors.New("only TCP listeners are served")

// connections are the clients connected at the moment. The lock is taken when one comes or goes, never for a
// request.
type connections struct {
	// severed stands in a connection's target once the proxy has decided to cut it.
	severed *backend

	mu   sync.Mutex
	open map[*connection]struct{}
	left chan struct{} // one slot: some connection went
}

func newConnections() *connections {
	return &connections{
		severed: new(backend),
		open:    make(map[*connection]struct{}),
		left:    make(chan struct{}, 1),
	}
}

// connection is one client's. HTTP/1.1 has one request at a time on it, whose answer goes through flight.
type connection struct {
	*net.TCPConn
	address        string // as the listener was asked for
	forwardedFor   []string
	forwardedProto []string

	// isIdle from the last byte of an answer until the next request's headers have been read.
	isIdle atomic.Bool
	// target is the backend of the request in flight, nil between requests. To end the request takes a swap
	// to nil, to cut the connection a swap to severed; one of the two wins, so a cut never hits the request
	// after the one it was meant for.
	target   atomic.Pointer[backend]
	isStream atomic.Bool
	flight   flight
}

type connectionKey struct{}

func connectionOf(ctx context.Context) *connection {
	c, _ := ctx.Value(connectionKey{}).(*connection)
	return c
}

// clients is a listener whose connections are known while they are open.
type clients struct {
	net.Listener
	address string // as it was asked for
	all     *connections
}

// Accept waits for the next client.
func (l clients) Accept() (net.Conn, error) {
	accepted, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	tcp, isTCP := accepted.(*net.TCPConn)
	if !isTCP {
		return nil, errors.Join(errNotTCP, accepted.Close())
	}
	return l.all.enter(tcp, l.address), nil
}

func (cs *connections) enter(tcp *net.TCPConn, address string) *connection {
	host, _, err := net.SplitHostPort(tcp.RemoteAddr().String())
	if err != nil {
		host = tcp.RemoteAddr().String()
	}
	c := &connection{TCPConn: tcp, address: address, forwardedFor: []string{host}, forwardedProto: []string{"http"}}
	c.isIdle.Store(true)
	cs.mu.Lock()
	defer cs.mu.Unlock()
	cs.open[c] = struct{}{}
	return c
}

// changed is an http.Server's ConnState.
func (cs *connections) changed(conn net.Conn, state http.ConnState) {
	c, _ := conn.(*connection)
	switch state {
	case http.StateActive:
		c.isIdle.Store(false)
	case http.StateIdle:
		c.isIdle.Store(true)
	case http.StateClosed:
		cs.leave(c)
	}
}

func (cs *connections) leave(c *connection) {
	cs.mu.Lock()
	delete(cs.open, c)
	cs.mu.Unlock()
	cs.poke()
}

// poke wakes who waits for connections to go.
func (cs *connections) poke() {
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

// cut closes every connection whose request is chosen, as it is at that moment.
func (cs *connections) cut(isChosen func(target *backend, isStream bool) bool) {
	cs.sever(func(c *connection, target *backend) bool {
		return target != nil && isChosen(target, c.isStream.Load())
	})
}

// cutIdle closes every connection that waits for its next request.
func (cs *connections) cutIdle() {
	cs.sever(func(c *connection, target *backend) bool { return target == nil && c.isIdle.Load() })
}

func (cs *connections) sever(isChosen func(c *connection, target *backend) bool) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	for c := range cs.open {
		target := c.target.Load()
		if target == cs.severed || !isChosen(c, target) {
			continue
		}
		if c.target.CompareAndSwap(target, cs.severed) {
			_ = c.Close() // it is cut, whatever that answers
		}
	}
}

// begin puts a request for b on the connection; false when the connection was cut meanwhile.
func (c *connection) begin(b *backend, w http.ResponseWriter, isLeaving *atomic.Bool) bool {
	c.isStream.Store(false)
	c.flight = flight{ResponseWriter: w, backend: b, conn: c, started: time.Now(), isLeaving: isLeaving}
	return c.target.CompareAndSwap(nil, b)
}

// end takes it off again; false when it was cut.
func (c *connection) end(b *backend) bool { return c.target.CompareAndSwap(b, nil) }

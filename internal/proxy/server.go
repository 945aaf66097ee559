package proxy

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/towpath-cd/towpath/internal/proxy/control"
)

// Limits guard the proxy against clients. Zero values mean the defaults.
type Limits struct {
	HeaderBytes int           // of a request's headers; 64 KiB
	HeaderTime  time.Duration // for a request's headers to arrive; 10 s
	// IdleTime is how long a client's connection is kept between requests: 75 s, above the minute after
	// which common load balancers before us close theirs. Bodies have no limit, in size or time.
	IdleTime time.Duration
}

func (l Limits) withDefaults() Limits {
	if l.HeaderBytes == 0 {
		l.HeaderBytes = 64 << 10
	}
	if l.HeaderTime == 0 {
		l.HeaderTime = 10 * time.Second
	}
	if l.IdleTime == 0 {
		l.IdleTime = 75 * time.Second
	}
	return l
}

// Server is the data plane: it takes requests, chooses a backend for each and counts. For a request it takes
// no lock; where requests go is one table behind an atomic pointer.
type Server struct {
	table       atomic.Pointer[table]
	connections *connections
	bodies      *bodies
	http        *http.Server
	logger      *slog.Logger
	isLeaving   atomic.Bool // each connection's next answer is its last

	mu   sync.Mutex                          // held while the table is replaced
	past map[string]map[int]control.Counters // of removed backends, by route and release
}

// NewServer returns a server without routes or listeners.
func NewServer(limits Limits, logger *slog.Logger) *Server {
	limits = limits.withDefaults()
	s := &Server{
		connections: newConnections(),
		bodies:      newBodies(),
		logger:      logger,
		past:        make(map[string]map[int]control.Counters),
	}
	s.table.Store(&table{})
	s.http = &http.Server{
		Handler:           http.HandlerFunc(s.handle),
		MaxHeaderBytes:    limits.HeaderBytes,
		ReadHeaderTimeout: limits.HeaderTime,
		IdleTimeout:       limits.IdleTime,
		ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelDebug),
		ConnState:         s.connectionChanged,
		ConnContext: func(ctx context.Context, conn net.Conn) context.Context {
			return context.WithValue(ctx, connectionKey{}, conn)
		},
	}
	return s
}

// Serve takes connections from the listener until that is closed, which is no error. Address is the name by
// which routes ask for this listener.
func (s *Server) Serve(address string, listener net.Listener) error {
	err := s.http.Serve(clients{listener, address, s.connections})
	if errors.Is(err, net.ErrClosed) || errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// Apply makes exactly these routes and backends the ones that requests are given to. Once it has returned,
// every request that was given to a backend before is counted in that backend's state, and none is given to
// a backend without weight.
func (s *Server) Apply(routes []Routing) {
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.table.Load()
	made := &table{common: make(hosts), hosts: make(map[string]hosts), routes: make(map[string]*routeTable)}
	for _, routing := range routes {
		made.add(routing.Route, s.makeRoute(routing, old.routes[routing.Name]))
	}
	s.table.Store(made)
	for name, route := range old.routes {
		s.forget(name, route, made.routes[name])
	}
}

// Routing is a route with its backends.
type Routing struct {
	control.Route
	Backends []control.Backend `json:"backends"`
}

// State tells of one route what this process serves of it.
func (s *Server) State(route control.Route) control.RouteState {
	s.mu.Lock()
	defer s.mu.Unlock()
	state := control.RouteState{Route: route}
	if served := s.table.Load().routes[route.Name]; served != nil {
		for _, b := range served.backends {
			state.Backends = append(state.Backends, b.state())
		}
	}
	for release, counters := range s.past[route.Name] {
		past := control.ReleaseState{Release: release, Counters: counters}
		state = state.Add(control.RouteState{Past: []control.ReleaseState{past}})
	}
	slices.SortFunc(state.Backends, func(a, b control.BackendState) int { return strings.Compare(a.ID, b.ID) })
	return state
}

// Close ends everything at once.
func (s *Server) Close() error {
	err := s.http.Close()
	s.connections.cut(func(*backend, bool) bool { return true })
	return err
}

func (s *Server) makeRoute(routing Routing, old *routeTable) *routeTable {
	made := &routeTable{name: routing.Name, backends: make(map[string]*backend, len(routing.Backends))}
	ordered := make([]*backend, 0, len(routing.Backends))
	for _, listed := range routing.Backends {
		b := old.backend(listed)
		if b == nil {
			b = newBackend(routing.Name, listed, s.bodies, s.logger)
		}
		b.weight.Store(int64(listed.Weight))
		made.backends[listed.ID] = b
		ordered = append(ordered, b)
	}
	made.turns = turnsOf(ordered)
	if routing.Sticky {
		made.sides = sidesOf(ordered)
	}
	return made
}

// forget lets go of the backends of old that now has not: what they have in flight is cut, what they did
// stays in the route's sums. The others are told that their weight may have changed.
func (s *Server) forget(name string, old, now *routeTable) {
	for id, b := range old.backends {
		if now != nil && now.backends[id] == b {
			b.wake()
			continue
		}
		s.connections.cut(func(target *backend, _ bool) bool { return target == b })
		b.weight.Store(0)
		b.wake()
		b.transport.CloseIdleConnections()
		if s.past[name] == nil {
			s.past[name] = make(map[int]control.Counters)
		}
		s.past[name][b.release] = s.past[name][b.release].Add(b.counters.read())
	}
}

// choose finds the route and counts the request in flight with the backend whose turn it is. The count comes
// first, then a second look at the table: when it is still the one that was chosen by, whoever replaces it
// afterwards sees the count; else the choice does not stand, and is made again.
func (s *Server) choose(address string, r *http.Request) (*routeTable, *backend, visitor) {
	for {
		now := s.table.Load()
		route := now.find(address, r.Host)
		if route == nil {
			return nil, nil, visitor{}
		}
		b, of := route.give(r)
		if b == nil {
			return route, nil, of
		}
		b.begin()
		if s.table.Load() == now {
			return route, b, of
		}
		b.endRequest()
	}
}

func (s *Server) handle(w http.ResponseWriter, r *http.Request) {
	c := connectionOf(r.Context())
	route, b, of := s.choose(c.address, r)
	if b == nil {
		s.refuse(w, r, route)
		return
	}
	if !c.begin(b, w, &s.isLeaving) {
		b.endRequest()
		panic(http.ErrAbortHandler)
	}
	c.flight.visitor = of
	isComplete := false
	defer func() { s.finish(c, b, r, isComplete) }()
	b.proxy.ServeHTTP(&c.flight, r)
	isComplete = true
}

// finish writes down how the request ended, and only then takes it off what is in flight.
func (s *Server) finish(c *connection, b *backend, r *http.Request, isComplete bool) {
	now := time.Now()
	end := c.flight.outcome(isComplete, r.Context().Err() != nil)
	if !c.end(b) {
		end = outcomeCut
	}
	if !c.isStream.Load() {
		b.counters.finishRequest(c.flight.status, now.Sub(c.flight.started), now, end)
		b.endRequest()
		return
	}
	b.counters.finishStream(end)
	b.endStream()
	if c.flight.status == http.StatusSwitchingProtocols {
		s.connections.leave(c)
	}
}

func (s *Server) refuse(w http.ResponseWriter, r *http.Request, route *routeTable) {
	if s.isLeaving.Load() {
		w.Header().Set("Connection", "close")
	}
	id := requestID()
	if route == nil {
		s.logger.Debug("no route for host", "request", id, "host", r.Host)
		pageUnknownHost().write(w, r, id)
		return
	}
	s.logger.Warn("no backend takes requests", "request", id, "host", r.Host)
	pageUnavailable().write(w, r, id)
}

func (s *Server) connectionChanged(conn net.Conn, state http.ConnState) {
	s.connections.changed(conn, state)
	if state == http.StateIdle && s.isLeaving.Load() {
		s.connections.poke()
	}
}

// bodies lends the buffers that answers are copied through.
type bodies struct{ pool sync.Pool }

func newBodies() *bodies {
	return &bodies{sync.Pool{New: func() any { return new([32 << 10]byte) }}}
}

// Get lends a buffer.
func (b *bodies) Get() []byte { return b.pool.Get().(*[32 << 10]byte)[:] }

// Put takes it back.
func (b *bodies) Put(buffer []byte) { b.pool.Put((*[32 << 10]byte)(buffer)) }

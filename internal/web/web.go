// Package web is every way into the server by HTTP: the API that people and programs use, the workers' protocol, event
// streams and pages. A request passes the guard first; which routes there are, and what each needs, is the table of
// package access. Here the words of the wire (package client) become nouns, and nouns become words.
package web

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/access"
	"github.com/towpath-cd/towpath/internal/artifact"
	"github.com/towpath-cd/towpath/internal/flow"
	"github.com/towpath-cd/towpath/internal/forge"
	"github.com/towpath-cd/towpath/internal/steplog"
	"github.com/towpath-cd/towpath/internal/store"
	"github.com/towpath-cd/towpath/internal/trigger"
)

// Options are what the server's handlers work with.
type Options struct {
	Store        *store.Store
	Flow         *flow.Conductor
	Hub          *flow.Hub
	Guard        *access.Guard
	Secrets      *access.Secrets
	Repositories *trigger.Repositories
	Inbox        *trigger.Inbox
	Forges       map[towpath.ForgeKind]forge.Kind
	ForgeClient  *http.Client
	Polled       func() // there is a new project to poll
	Logs         *steplog.Store
	Artifacts    *artifact.Store
	Clock        func() time.Time
	NewID        func() string
	URL          string                                 // where people reach the server, for links; without a slash at its end
	Backup       func(context.Context, io.Writer) error // writes all that the server keeps
	RotateKey    func(ctx context.Context, forget bool) (access.Rotation, error)
	ShellIdle    time.Duration // without anything typed, after which a debug shell ends
	ShellLimit   time.Duration // after which it ends in any case
	Version      string
	Log          *slog.Logger
}

// Server is the handlers.
type Server struct {
	Options
	mux       *http.ServeMux
	handlers  map[string]bool  // by route: registered
	shapes    map[string]shape // by route: of its JSON
	pieces    sync.Pool        // of *bytes.Buffer: pieces of logs that workers send
	arrivals  arrivals
	hookLooks *hookLooks
	shells    *shells
	stopping  context.Context // ends long-polls and streams, so that the server can stop
	stop      context.CancelFunc
}

// New makes the server's handlers. It panics where a handler has no line in the table of routes, or a line no handler:
// both are mistakes in the code.
func New(o Options) *Server {
	s := &Server{Options: o, mux: http.NewServeMux(), handlers: map[string]bool{}, shapes: map[string]shape{}, arrivals: newArrivals()}
	s.hookLooks = newHookLooks(s.Store, s.Secrets.HookSecrets)
	s.stopping, s.stop = context.WithCancel(context.Background())
	s.registerAPI()
	s.registerWorkers()
	s.registerStreams()
	s.registerLogs()
	s.registerShells()
	s.registerPages()
	for _, route := range access.Routes {
		if !s.handlers[route.String()] {
			panic("web: route without a handler: " + route.String())
		}
	}
	return s
}

// Stop ends long-polls and streams. Other requests end by themselves.
func (s *Server) Stop() { s.stop() }

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Referrer-Policy", "same-origin")
	header.Set("X-Frame-Options", "DENY")
	header.Set("Content-Security-Policy", "default-src 'self'; frame-ancestors 'none'; form-action 'self'; base-uri 'none'")
	defer s.recover(w, r)
	if _, pattern := s.mux.Handler(r); pattern == "" {
		s.lost(w, r)
		return
	}
	s.mux.ServeHTTP(w, r)
}

// lost answers a request that no route is for, in the look of the others; 405 where another method has one.
func (s *Server) lost(w http.ResponseWriter, r *http.Request) {
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete} {
		other := r.Clone(r.Context())
		other.Method = method
		if _, pattern := s.mux.Handler(other); pattern != "" {
			s.mux.ServeHTTP(w, r)
			return
		}
	}
	s.fail(w, r, towpath.Errorf(towpath.CodeNotFound, "there is nothing at %s", r.URL.Path))
}

func (s *Server) recover(w http.ResponseWriter, r *http.Request) {
	switch fault := recover(); fault {
	case nil:
	case http.ErrAbortHandler:
		panic(fault)
	default:
		s.Log.Error("a handler panicked", "method", r.Method, "path", r.URL.Path, "fault", fault, "stack", stack())
		s.fail(w, r, fmt.Errorf("panic: %v", fault))
	}
}

// handle registers the handler of a route of the table. It is reached only by who the guard admits.
func (s *Server) handle(pattern string, handler func(http.ResponseWriter, *http.Request, access.Caller)) {
	route, ok := routeOf(pattern)
	if !ok {
		panic("web: no line in the table of routes for " + pattern)
	}
	s.handlers[pattern] = true
	s.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		caller, err := s.Guard.Admit(r, route)
		if err != nil {
			s.refuse(w, r, err)
			return
		}
		handler(w, r, caller)
	})
}

func routeOf(pattern string) (access.Route, bool) {
	for _, route := range access.Routes {
		if route.String() == pattern {
			return route, true
		}
	}
	return access.Route{}, false
}

// live is the context of a call that waits: it also ends when the server stops, and when the caller may not make the call
// any more, because the session, the token or the role is gone.
func (s *Server) live(r *http.Request) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(r.Context())
	stop := context.AfterFunc(s.stopping, cancel)
	if route, ok := routeOf(r.Pattern); ok {
		go s.whileAdmitted(ctx, r, route, cancel)
	}
	return ctx, func() { stop(); cancel() }
}

// topicAccess is rung when somebody may have lost the right to go on with what waits.
const topicAccess = "access"

// rightsChanged has those who wait be asked again, after an act that may have taken somebody's rights. It answers err.
func (s *Server) rightsChanged(err error) error {
	if err == nil {
		s.Hub.Ring(topicAccess)
	}
	return err
}

// whileAdmitted asks again whether the caller may, whenever that may have changed, and now and then by itself.
func (s *Server) whileAdmitted(ctx context.Context, r *http.Request, route access.Route, cancel context.CancelFunc) {
	for {
		changed := s.Hub.Wait(topicAccess)
		select {
		case <-ctx.Done():
			return
		case <-changed:
		case <-time.After(keepAlive):
		}
		_, err := s.Guard.Admit(r, route)
		switch towpath.CodeOf(err) {
		case towpath.CodeUnauthorized, towpath.CodeForbidden, towpath.CodeNotFound:
			cancel()
			return
		}
	}
}

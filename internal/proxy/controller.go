package proxy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/towpath-cd/towpath/internal/proxy/control"
)

// controller is the one place where orders are carried out: it keeps the book, the data plane and the
// processes that went before in step. Orders are taken one at a time.
type controller struct {
	folder  string
	public  []string // addresses that every route without its own is served on
	server  *Server
	sockets *sockets
	logger  *slog.Logger
	started time.Time

	handedOver chan struct{} // one slot: another process asked for the folder
	followed   chan struct{} // one slot: and has taken it
	hasHeir    atomic.Bool   // a successor wants to know what this process did

	mu        sync.Mutex
	port      string       // the control address as it is bound
	unlock    func() error // gives the folder back; nil when this process does not own it
	book      book
	listeners map[string]net.Listener
	followers []*follower
	inherited map[string]control.RouteState // what ended predecessors did
}

func newController(options Options, logger *slog.Logger) *controller {
	return &controller{
		folder:     options.DataDir,
		public:     options.Listen,
		server:     NewServer(options.Limits, logger),
		sockets:    &sockets{folder: options.DataDir, command: options.HoldCommand, logger: logger},
		logger:     logger,
		started:    time.Now(),
		handedOver: make(chan struct{}, 1),
		followed:   make(chan struct{}, 1),
		listeners:  make(map[string]net.Listener),
		inherited:  make(map[string]control.RouteState),
	}
}

// serve makes this process take connections: routes first, then listeners. The caller has the folder's lock.
func (c *controller) serve(ctx context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	loaded, err := loadBook(c.folder)
	if err != nil {
		return err
	}
	c.book = loaded
	c.server.isLeaving.Store(false)
	c.server.Apply(c.book.routings())
	for _, address := range c.public {
		if err := c.listen(ctx, address); err != nil {
			return fmt.Errorf("listen on %s: %w", address, err)
		}
	}
	for _, address := range c.book.addresses() {
		if err := c.listen(ctx, address); err != nil {
			// The other routes are worth more than a start that is all or nothing.
			c.logger.Error("address of a route not opened", "address", address, "error", err)
		}
	}
	return nil
}

// own makes this process take orders: predecessors follow from here on.
func (c *controller) own(ctx context.Context, unlock func() error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.adopt(ctx)
	c.unlock = unlock
}

func (c *controller) setPort(address string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.port = address
}

// disown stops taking connections and orders, and gives the folder back. What has begun goes on.
func (c *controller) disown() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.server.isLeaving.Store(true)
	for address, listener := range c.listeners {
		_ = listener.Close()
		delete(c.listeners, address)
	}
	for _, f := range c.followers {
		f.release() // it is the successor's now
	}
	c.followers = nil
	if c.unlock != nil {
		_ = c.unlock() // it ends with the process at the latest
		c.unlock = nil
	}
}

// change carries out one order: what edit makes of the route is on disk, served here and served by every
// predecessor before change returns; when anything refuses, nothing has changed.
func (c *controller) change(ctx context.Context, name string, epoch control.Epoch, edit func(*record) error) (control.RouteState, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.unlock == nil {
		return control.RouteState{}, notOwner()
	}
	next := c.book.clone()
	r := next.route(name)
	if r == nil {
		next.Routes = append(next.Routes, record{Routing: Routing{Route: control.Route{Name: name}}, IsRemoved: true})
		r = next.route(name)
	}
	if err := r.fence(epoch); err != nil {
		return control.RouteState{}, err
	}
	if err := edit(r); err != nil {
		return control.RouteState{}, err
	}
	if err := c.replace(ctx, next); err != nil {
		return control.RouteState{}, err
	}
	return c.knownState(ctx, *next.route(name)), nil
}

// replace makes next the book that holds.
func (c *controller) replace(ctx context.Context, next book) error {
	if reflect.DeepEqual(next, c.book) {
		return nil
	}
	if err := next.checkConflicts(c.public); err != nil {
		return err
	}
	if err := c.listenAll(ctx, next.addresses()); err != nil {
		return err
	}
	if err := next.save(c.folder); err != nil {
		c.unlisten(ctx)
		return err
	}
	c.book = next
	c.server.Apply(next.routings())
	c.tellFollowers(ctx)
	c.unlisten(ctx)
	return nil
}

// follow takes the routes of the process that this one has handed over to.
func (c *controller) follow(content []byte) error {
	parsed, err := parseBook(content)
	if err != nil {
		return control.Refuse(control.CodeInvalid, "", "routes to follow: %v", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.unlock != nil {
		return control.Refuse(control.CodeConflict, "", "this process owns the data folder, and follows nobody")
	}
	c.book = parsed
	c.server.Apply(parsed.routings())
	c.hasHeir.Store(true)
	select {
	case c.followed <- struct{}{}:
	default:
	}
	return nil
}

// drain waits here and in every predecessor at once.
func (c *controller) drain(ctx context.Context, name string, epoch control.Epoch, request control.DrainRequest) (control.DrainResult, error) {
	followers, err := c.beginDrain(ctx, name, epoch)
	if err != nil {
		return control.DrainResult{}, err
	}
	waits, waiting := errgroup.WithContext(ctx)
	results := make([]control.DrainResult, len(followers)+1)
	waits.Go(func() (err error) {
		results[len(followers)], err = c.server.Drain(waiting, name, request)
		return err
	})
	for i, f := range followers {
		waits.Go(func() (err error) {
			results[i], err = f.drain(waiting, name, epoch, request)
			return err
		})
	}
	if err := waits.Wait(); err != nil {
		return control.DrainResult{}, err
	}
	var sum control.DrainResult
	for _, result := range results {
		sum = sum.Add(result)
	}
	return c.withInherited(name, request.Backends, sum), nil
}

func (c *controller) beginDrain(ctx context.Context, name string, epoch control.Epoch) ([]*follower, error) {
	c.mu.Lock()
	isFollower := c.unlock == nil
	c.mu.Unlock()
	if !isFollower {
		if _, err := c.change(ctx, name, epoch, needsRoute); err != nil {
			return nil, err
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if r := c.book.route(name); isFollower && (r == nil || r.Epoch != epoch) {
		return nil, notOwner()
	}
	return slices.Clone(c.followers), nil
}

// withInherited: the last answer may have been that of a process that has ended since.
func (c *controller) withInherited(name string, ids []string, result control.DrainResult) control.DrainResult {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, id := range ids {
		if b, found := c.inherited[name].Backend(id); found && b.Counters.LastFinished.After(result.LastFinished) {
			result.LastFinished = b.Counters.LastFinished
		}
	}
	return result
}

// needsRoute is the edit of what only works on a route that is there.
func needsRoute(r *record) error {
	if r.IsRemoved {
		return control.Refuse(control.CodeUnknownRoute, "put it first", "no route %q", r.Name)
	}
	return nil
}

func notOwner() error {
	return control.Refuse(control.CodeNotOwner, "ask again", "this process hands over to another")
}

// checkConflicts: one host on one address has one route.
func (b *book) checkConflicts(public []string) error {
	taken := make(map[[2]string]string)
	for _, r := range b.routings() {
		addresses := r.Listen
		if len(addresses) == 0 {
			addresses = []string{""}
		}
		for _, address := range addresses {
			if slices.Contains(public, address) {
				return control.Refuse(control.CodeConflict, "leave listen out to be served there by host",
					"route %q: %s is the proxy's common address", r.Name, address)
			}
			for _, host := range r.Hosts {
				if other := taken[[2]string{address, host}]; other != "" {
					return control.Refuse(control.CodeConflict, "give each its own host or listen address",
						"routes %q and %q both want host %q", other, r.Name, host)
				}
				taken[[2]string{address, host}] = r.Name
			}
		}
	}
	return nil
}

// listenAll opens what is missing; when one cannot be opened, none stays open that was not before.
func (c *controller) listenAll(ctx context.Context, addresses []string) error {
	for _, address := range addresses {
		if err := c.listen(ctx, address); err != nil {
			c.unlisten(ctx)
			return control.Refuse(control.CodeConflict, "is another program using it?", "listen on %s: %v", address, err)
		}
	}
	return nil
}

func (c *controller) listen(ctx context.Context, address string) error {
	if c.listeners[address] != nil {
		return nil
	}
	listener, err := c.sockets.listen(ctx, address)
	if err != nil {
		return err
	}
	c.listeners[address] = listener
	go func() {
		if err := c.server.Serve(address, listener); err != nil {
			c.logger.Error("listener failed", "address", address, "error", err)
		}
	}()
	return nil
}

// unlisten closes what no route names any more.
func (c *controller) unlisten(ctx context.Context) {
	wanted := slices.Concat(c.public, c.book.addresses())
	for address, listener := range c.listeners {
		if slices.Contains(wanted, address) {
			continue
		}
		delete(c.listeners, address)
		if err := errors.Join(listener.Close(), c.sockets.release(ctx, address)); err != nil {
			c.logger.Warn("address not released", "address", address, "error", err)
		}
	}
}

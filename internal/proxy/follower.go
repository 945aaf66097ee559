package proxy

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"slices"
	"time"

	"github.com/towpath-cd/towpath/internal/proxy/control"
)

// followTime is how long a predecessor may take to accept its successor's routes. One that takes longer is
// killed: it might give requests to backends that are about to be stopped.
const followTime = 5 * time.Second

// follower is a process that served before this one, and finishes what it has begun. It is told of every
// change, and what it has in flight counts.
type follower struct {
	pid     int
	socket  string
	client  *control.Client
	release context.CancelFunc
}

// adopt finds the processes that served before and makes them followers. The controller is locked.
func (c *controller) adopt(ctx context.Context) {
	c.followers = nil
	for pid, socket := range otherSockets(c.folder) {
		f := &follower{pid: pid, socket: socket, client: control.New(control.Options{Socket: socket, Patience: -1})}
		if err := c.tell(ctx, f); err != nil {
			c.part(f, err)
			continue
		}
		c.logger.Info("predecessor still finishes requests", "pid", pid)
		waiting, release := context.WithCancel(context.Background())
		f.release = release
		c.followers = append(c.followers, f)
		go c.awaitFarewell(waiting, f)
	}
}

// part leaves behind a process that does not follow.
func (c *controller) part(f *follower, reason error) {
	f.client.Close()
	if f.isGone() {
		_ = os.Remove(f.socket) // left by a process that was killed
		return
	}
	c.logger.Warn("predecessor does not follow and is killed", "pid", f.pid, "error", reason)
	if process, err := os.FindProcess(f.pid); err == nil {
		_ = process.Kill()
	}
}

// isGone asks the kernel: only a process that lives has a socket that can be connected to.
func (f *follower) isGone() bool {
	conn, err := net.Dial("unix", f.socket)
	if err != nil {
		return true
	}
	_ = conn.Close()
	return false
}

func (c *controller) tell(ctx context.Context, f *follower) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), followTime)
	defer cancel()
	content, err := json.Marshal(c.book)
	if err != nil {
		return err
	}
	return f.client.Follow(ctx, content)
}

// tellFollowers returns when every predecessor serves by the book, or is no more.
func (c *controller) tellFollowers(ctx context.Context) {
	c.followers = slices.DeleteFunc(c.followers, func(f *follower) bool {
		err := c.tell(ctx, f)
		if err == nil {
			return false
		}
		f.release()
		c.part(f, err)
		return true
	})
}

// awaitFarewell waits for a predecessor to have finished, keeps what it counted, and only then lets it end:
// at every moment its counts are found in one place.
func (c *controller) awaitFarewell(ctx context.Context, f *follower) {
	defer f.client.Close()
	defer f.release()
	last, err := f.client.Farewell(ctx)
	if ctx.Err() != nil || !c.inherit(f, last) {
		return
	}
	if err == nil {
		err = f.client.Dismiss(ctx)
	}
	if err != nil {
		c.logger.Warn("predecessor ended without a word", "pid", f.pid, "error", err)
		return
	}
	c.logger.Info("predecessor has finished", "pid", f.pid)
}

// inherit takes a follower's last counts in its stead; false when it is none any more.
func (c *controller) inherit(f *follower, last control.State) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	at := slices.Index(c.followers, f)
	if at < 0 {
		return false
	}
	c.followers = slices.Delete(c.followers, at, at+1)
	for _, route := range last.Routes {
		route = route.Ended()
		c.inherited[route.Name] = route.Add(c.inherited[route.Name])
	}
	return true
}

// drain has the predecessor wait. When it ends meanwhile, there is nothing left to wait for.
func (f *follower) drain(ctx context.Context, route string, epoch control.Epoch, request control.DrainRequest) (control.DrainResult, error) {
	result, err := f.client.Drain(ctx, epoch, route, request)
	if err != nil && f.isGone() {
		return control.DrainResult{}, nil
	}
	return result, err
}

// state is everything there is to tell.
func (c *controller) state(ctx context.Context) control.State {
	c.mu.Lock()
	defer c.mu.Unlock()
	state := control.State{
		PID:            os.Getpid(),
		Started:        c.started,
		ControlAddress: c.port,
		Predecessors:   len(c.followers),
	}
	for asked, listener := range c.listeners {
		state.Listeners = append(state.Listeners, control.Listener{Asked: asked, Address: listener.Addr().String()})
	}
	for _, r := range c.book.Routes {
		state.Routes = append(state.Routes, c.knownState(ctx, r))
	}
	return state
}

// routeState is what this process and those before it know of a route; with the error of one that does not
// say, and may have anything in flight.
func (c *controller) routeState(ctx context.Context, r record) (control.RouteState, error) {
	ctx, cancel := context.WithTimeout(ctx, followTime)
	defer cancel()
	state := c.server.State(r.Route).Add(c.inherited[r.Name])
	state.Epoch = r.Epoch
	for _, f := range c.followers {
		theirs, err := f.client.Route(ctx, r.Name)
		switch {
		case err == nil:
			state = state.Add(theirs)
		case !f.isGone():
			return state, fmt.Errorf("ask predecessor %d: %w", f.pid, err)
		}
	}
	return state, nil
}

// knownState leaves out what a predecessor does not say.
func (c *controller) knownState(ctx context.Context, r record) control.RouteState {
	state, err := c.routeState(ctx, r)
	if err != nil {
		c.logger.Warn("counts are incomplete", "route", r.Name, "error", err)
	}
	return state
}

// isInUse tells whether a backend has something in flight anywhere, or might have. The controller is locked.
func (c *controller) isInUse(ctx context.Context, name string) func(id string) bool {
	r := c.book.route(name)
	if r == nil {
		return func(string) bool { return false }
	}
	state, err := c.routeState(ctx, *r)
	return func(id string) bool {
		b, found := state.Backend(id)
		return err != nil || found && !b.InFlight.IsZero()
	}
}

package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"time"
)

// SocketName is the control socket's name in a proxy's data folder.
const SocketName = "control.sock"

// defaultPatience covers a proxy's restart and hand-over with room to spare.
const defaultPatience = 10 * time.Second

// dialTime bounds how long a proxy on another machine may take to be connected to.
const dialTime = 5 * time.Second

// Options say where a proxy is. One of DataDir, Socket and Address is set.
type Options struct {
	DataDir string // of a proxy on this machine
	Socket  string // the path of its control socket
	Address string // host:port of its control port
	Key     Key    // for the control port
	// Patience is how long a call is tried again while the proxy cannot be reached or hands over; 10 s when
	// zero, not at all when negative. Calls are absolute, so trying again does no harm.
	Patience time.Duration
}

// Client gives orders to one proxy. It is safe for concurrent use.
type Client struct {
	http     *http.Client
	base     string
	token    string // for the control port
	patience time.Duration
}

// New returns a client; nothing is dialled yet.
func New(options Options) *Client {
	c := &Client{base: "http://proxy", token: options.Key.Token, patience: options.Patience}
	if c.patience == 0 {
		c.patience = defaultPatience
	}
	socket := options.Socket
	if options.DataDir != "" {
		socket = filepath.Join(options.DataDir, SocketName)
	}
	transport := &http.Transport{MaxIdleConnsPerHost: 4, IdleConnTimeout: time.Minute}
	if socket != "" {
		transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", socket)
		}
	} else {
		c.base = "https://" + options.Address
		transport.TLSClientConfig = options.Key.tls()
		transport.DialContext = (&net.Dialer{Timeout: dialTime}).DialContext
	}
	c.http = &http.Client{Transport: transport}
	return c
}

// Close gives kept connections back.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// State returns everything the proxy knows.
func (c *Client) State(ctx context.Context) (State, error) {
	var state State
	err := c.call(ctx, http.MethodGet, "/v1/state", nil, &state)
	return state, err
}

// Route returns one route, or ErrUnknownRoute.
func (c *Client) Route(ctx context.Context, name string) (RouteState, error) {
	return c.route(ctx, http.MethodGet, name, "", nil)
}

// Claim raises the route's epoch and changes nothing else; the route need not exist yet. It is how a new
// holder shuts the door behind an old one before it looks around.
func (c *Client) Claim(ctx context.Context, epoch Epoch, name string) error {
	_, err := c.route(ctx, http.MethodPut, name, "/epoch", Order{Epoch: epoch})
	return err
}

// PutRoute makes the route, or changes its hosts and addresses; its backends stay. ErrConflict when another
// route has one of the hosts, or an address cannot be bound.
func (c *Client) PutRoute(ctx context.Context, epoch Epoch, route Route) (RouteState, error) {
	return c.route(ctx, http.MethodPut, route.Name, "", Order{Epoch: epoch, Route: &route})
}

// PutBackends sets all of the route's backends with their weights. One that is not listed stays with weight
// 0, until it is removed. ErrBusy when a listed id has another address or release than before and is in use.
// Once it has returned, no request is given to a backend that has no weight.
func (c *Client) PutBackends(ctx context.Context, epoch Epoch, route string, backends []Backend) (RouteState, error) {
	return c.route(ctx, http.MethodPut, route, "/backends", Order{Epoch: epoch, Backends: backends})
}

// SetWeights sets the weights of all of the route's backends, by id; one that is not named gets 0.
// ErrUnknownBackend when an id is not the route's. Once it has returned, every request that was given to a
// backend under earlier weights is counted as in flight, and no new one goes to a backend with weight 0.
func (c *Client) SetWeights(ctx context.Context, epoch Epoch, route string, weights map[string]int) (RouteState, error) {
	return c.route(ctx, http.MethodPut, route, "/weights", Order{Epoch: epoch, Weights: weights})
}

// Drain waits until the backends have nothing in flight or the clocks are over, and tells what became of
// it. ErrBusy when one has weight, or is given weight meanwhile. It waits as long as ctx lets it.
func (c *Client) Drain(ctx context.Context, epoch Epoch, route string, drain DrainRequest) (DrainResult, error) {
	var result DrainResult
	err := c.call(ctx, http.MethodPost, routePath(route, "/drain"), Order{Epoch: epoch, Drain: &drain}, &result)
	return result, err
}

// RemoveBackend forgets a backend. ErrBusy while it has weight or something in flight, unless force is set,
// which cuts that. Removing one that is not there is no error.
func (c *Client) RemoveBackend(ctx context.Context, epoch Epoch, route, id string, force bool) (RouteState, error) {
	return c.route(ctx, http.MethodDelete, route, "/backends/"+url.PathEscape(id), Order{Epoch: epoch, Force: force})
}

// RemoveRoute forgets a route and its backends, but not its epoch. ErrBusy while a backend has weight or
// something in flight, unless force is set, which cuts that. Removing one that is not there is no error.
func (c *Client) RemoveRoute(ctx context.Context, epoch Epoch, name string, force bool) error {
	_, err := c.route(ctx, http.MethodDelete, name, "", Order{Epoch: epoch, Force: force})
	return err
}

// HandOver asks a proxy to stop taking connections and give up its data folder to another process of this
// machine. It finishes what it has begun. Only over the socket.
func (c *Client) HandOver(ctx context.Context) error {
	return c.call(ctx, http.MethodPost, "/v1/handover", struct{}{}, nil)
}

// Follow gives a proxy that has handed over its successor's routes, in the form of the state file. Only over
// the socket.
func (c *Client) Follow(ctx context.Context, routes json.RawMessage) error {
	return c.call(ctx, http.MethodPut, "/v1/follow", routes, nil)
}

// Farewell waits until a proxy that has handed over has finished, and returns its last state. Only over the
// socket.
func (c *Client) Farewell(ctx context.Context) (State, error) {
	var state State
	err := c.call(ctx, http.MethodGet, "/v1/farewell", nil, &state)
	return state, err
}

// Dismiss tells a proxy whose farewell has been heard that it may end. Only over the socket.
func (c *Client) Dismiss(ctx context.Context) error {
	return c.call(ctx, http.MethodPost, "/v1/dismiss", struct{}{}, nil)
}

// Order is the body of every call that changes something: the epoch, and what the call is about.
type Order struct {
	Epoch    Epoch          `json:"epoch"`
	Route    *Route         `json:"route,omitempty"`
	Backends []Backend      `json:"backends,omitempty"`
	Weights  map[string]int `json:"weights,omitempty"`
	Drain    *DrainRequest  `json:"drain,omitempty"`
	Force    bool           `json:"force,omitempty"`
}

func (c *Client) route(ctx context.Context, method, name, below string, body any) (RouteState, error) {
	var state RouteState
	err := c.call(ctx, method, routePath(name, below), body, &state)
	return state, err
}

func routePath(name, below string) string { return "/v1/routes/" + url.PathEscape(name) + below }

// call tries until the proxy has answered, for as long as the client's patience lasts.
func (c *Client) call(ctx context.Context, method, path string, body, result any) error {
	encoded, err := json.Marshal(body)
	if err != nil {
		return fmt.Errorf("proxy %s %s: %w", method, path, err)
	}
	patience := time.Now().Add(c.patience)
	for wait := 5 * time.Millisecond; ; wait = min(2*wait, 200*time.Millisecond) {
		err = c.try(ctx, method, path, encoded, result)
		if !isWorthAnotherTry(err) || time.Now().After(patience) {
			break
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("proxy %s %s: %w", method, path, context.Cause(ctx))
		case <-time.After(wait):
		}
	}
	if err != nil {
		return fmt.Errorf("proxy %s %s: %w", method, path, err)
	}
	return nil
}

// isWorthAnotherTry: nobody was there, or somebody who is leaving.
func isWorthAnotherTry(err error) bool {
	var operation *net.OpError
	if errors.As(err, &operation) && operation.Op == "dial" {
		return true
	}
	return errors.Is(err, ErrNotOwner)
}

func (c *Client) try(ctx context.Context, method, path string, body []byte, result any) error {
	request, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	if c.token != "" {
		request.Header.Set("Authorization", "Bearer "+c.token)
	}
	answer, err := c.http.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode >= http.StatusBadRequest {
		return refusal(answer)
	}
	if result == nil || answer.StatusCode == http.StatusNoContent {
		_, err = io.Copy(io.Discard, answer.Body)
		return err
	}
	return json.NewDecoder(answer.Body).Decode(result)
}

func refusal(answer *http.Response) error {
	refused := new(Error)
	if err := json.NewDecoder(answer.Body).Decode(refused); err != nil || refused.Code == "" {
		return Refuse(CodeInternal, "is this the proxy's control address?", "unexpected answer: %s", answer.Status)
	}
	return refused
}

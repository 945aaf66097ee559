// Package client is the Go client of Towpath's HTTP API. The command line and the worker use it, and so can others.
// Its types are the wire format: JSON, field names in snake case, times as RFC 3339, durations in seconds.
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// MaxErrorBody is how much of an answer that is not ours is read for its error, in bytes.
const MaxErrorBody = 64 << 10

// Client speaks to one server as one caller. It is safe for concurrent use.
type Client struct {
	base  string
	token string
	http  *http.Client
}

// New makes a client of the server at address ("http://host:port"), which shows token with every call.
func New(address, token string) (*Client, error) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return nil, &Error{
			Code: "invalid", Message: fmt.Sprintf("%q is not a server's address", address),
			Hint: "write it like http://localhost:8470",
		}
	}
	return &Client{base: strings.TrimRight(address, "/"), token: token, http: &http.Client{Transport: transport()}}, nil
}

// transport keeps enough connections for a worker's steps, which all speak to the one server.
func transport() *http.Transport {
	return &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 15 * time.Second}).DialContext,
		MaxIdleConnsPerHost: 64,
		IdleConnTimeout:     90 * time.Second,
		TLSHandshakeTimeout: 10 * time.Second,
	}
}

// Address is the server's.
func (c *Client) Address() string { return c.base }

// Close lets go of idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Error is what the server, or the way to it, said instead of an answer. Code is one of invalid, unauthorized,
// forbidden, not_found, conflict, stale, unavailable, internal.
type Error struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
	Status  int    `json:"-"` // HTTP status; 0 where no answer came
	Err     error  `json:"-"`
}

func (e *Error) Error() string { return e.Message }

// Unwrap answers the cause, where no answer came.
func (e *Error) Unwrap() error { return e.Err }

// Temporary says that the same call may succeed later.
func (e *Error) Temporary() bool { return e.Code == "unavailable" }

// get, post, put and remove make a call with JSON both ways.
func get[T any](ctx context.Context, c *Client, path string, query url.Values) (T, error) {
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	return call[T](ctx, c, http.MethodGet, path, nil)
}

func post[T any](ctx context.Context, c *Client, path string, in any) (T, error) {
	return call[T](ctx, c, http.MethodPost, path, in)
}

func put[T any](ctx context.Context, c *Client, path string, in any) (T, error) {
	return call[T](ctx, c, http.MethodPut, path, in)
}

func remove(ctx context.Context, c *Client, path string) error {
	_, err := call[struct{}](ctx, c, http.MethodDelete, path, nil)
	return err
}

func call[T any](ctx context.Context, c *Client, method, path string, in any) (T, error) {
	var out T
	var body io.Reader
	if in != nil {
		encoded, err := json.Marshal(in)
		if err != nil {
			return out, fmt.Errorf("encode the call of %s: %w", path, err)
		}
		body = bytes.NewReader(encoded)
	}
	response, err := c.send(ctx, method, path, "application/json", body)
	if err != nil {
		return out, err
	}
	if response.StatusCode == http.StatusNoContent {
		drain(response.Body)
		return out, nil
	}
	return decode[T](c, response)
}

// send makes the call and turns every answer that is not a success into an *Error. The caller closes the body.
func (c *Client) send(ctx context.Context, method, path, contentType string, body io.Reader) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return nil, fmt.Errorf("make the call of %s: %w", path, err)
	}
	if body != nil {
		request.Header.Set("Content-Type", contentType)
	}
	if c.token != "" {
		request.Header.Set("Authorization", "Bearer "+c.token)
	}
	response, err := c.http.Do(request)
	if err != nil {
		return nil, unreachable(c.base, err)
	}
	if response.StatusCode >= http.StatusBadRequest {
		defer drain(response.Body)
		return nil, readError(response)
	}
	return response, nil
}

func readError(response *http.Response) error {
	e := &Error{Status: response.StatusCode}
	body, _ := io.ReadAll(io.LimitReader(response.Body, MaxErrorBody))
	if json.Unmarshal(body, e) != nil || e.Message == "" {
		e.Code, e.Message = "internal", "the server answered "+response.Status
		if response.StatusCode >= http.StatusInternalServerError {
			e.Code = "unavailable"
		}
	}
	return e
}

func unreachable(base string, err error) error {
	return &Error{
		Code: "unavailable", Message: "no answer from " + base + ": " + rootCause(err).Error(), Err: err,
		Hint: "is the server running? its address comes from --server, TOWPATH_SERVER or towpath login",
	}
}

// rootCause leaves the method and the address out, which the message has already.
func rootCause(err error) error {
	if u, ok := err.(*url.Error); ok { //nolint:errorlint // only the outermost layer is peeled
		return u.Err
	}
	return err
}

// drain reads what is left, so that the connection can be used again.
func drain(body io.ReadCloser) {
	_, _ = io.Copy(io.Discard, io.LimitReader(body, MaxErrorBody))
	_ = body.Close()
}

func escape(parts ...string) string {
	escaped := make([]string, len(parts))
	for i, p := range parts {
		escaped[i] = url.PathEscape(p)
	}
	return strings.Join(escaped, "/")
}

func decode[T any](c *Client, response *http.Response) (T, error) {
	var out T
	defer drain(response.Body)
	if err := json.NewDecoder(response.Body).Decode(&out); err != nil {
		return out, unreachable(c.base, err)
	}
	return out, nil
}

package caddy

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/towpath-cd/towpath/internal/deploy"
)

// Limits of one call. Loading a configuration is the longest.
const (
	callLimit   = 15 * time.Second
	answerLimit = 16 << 20 // bytes
)

// errChanged says that somebody else has changed the configuration since it was read.
var errChanged = errors.New("the configuration was changed meanwhile")

// admin is the API that a Caddy takes orders by (caddyserver.com/docs/api).
type admin struct {
	base string // URL without a path
	host string // that other machines know it by
	name string // what a request says that it is for; empty is its URL's
	http *http.Client
}

func newAdmin(address string) (admin, error) {
	at, err := url.Parse(address)
	if err != nil {
		return admin{}, err
	}
	// Each load of a configuration also replaces the server of the API, and with it its connections.
	transport := &http.Transport{DisableKeepAlives: true}
	switch {
	case at.Scheme == "unix" && at.Path != "":
		transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", at.Path)
		}
		// Through a socket Caddy takes requests for no host at all. Go writes none where a name cannot be one.
		return admin{base: "http://localhost", host: "127.0.0.1", name: at.Path, http: &http.Client{Transport: transport}}, nil
	case at.Scheme == "http" && at.Host != "":
		return admin{base: "http://" + at.Host, host: at.Hostname(), http: &http.Client{Transport: transport}}, nil
	}
	return admin{}, fmt.Errorf("%q is neither http://host:port nor unix:///path", address)
}

// read gets a value of the configuration, with the tag that a change of it has to carry. Nothing happens where it fails.
func (a admin) read(ctx context.Context, path string, into any) (tag string, err error) {
	tag, err = a.call(ctx, http.MethodGet, path, "", nil, into)
	if unknown, is := errors.AsType[*deploy.UnknownOutcome](err); is {
		err = &deploy.Retryable{Err: unknown.Err}
	}
	return tag, err
}

// replace sets a value that is there, unless it has changed since it was read. The answer comes when the new
// configuration is in force.
func (a admin) replace(ctx context.Context, path, tag string, value any) error {
	_, err := a.call(ctx, http.MethodPatch, path, tag, value, nil)
	return err
}

func (a admin) call(ctx context.Context, method, path, tag string, value, into any) (newTag string, err error) {
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	request, err := newRequest(ctx, method, a.base+path, tag, value)
	if err != nil {
		return "", &deploy.Permanent{Err: err}
	}
	request.Host = cmp.Or(a.name, request.Host)
	response, err := a.http.Do(request)
	if err != nil {
		return "", a.explain(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, answerLimit))
	if err != nil {
		return "", a.explain(err)
	}
	if response.StatusCode != http.StatusOK {
		return "", refusal(path, response.StatusCode, text)
	}
	if into != nil {
		if err := json.Unmarshal(text, into); err != nil {
			return "", &deploy.Permanent{Err: fmt.Errorf("read %s of Caddy's configuration: %w", path, err)}
		}
	}
	return response.Trailer.Get("Etag") + response.Header.Get("Etag"), nil // in the one or the other
}

func newRequest(ctx context.Context, method, url, tag string, value any) (*http.Request, error) {
	var body io.Reader
	if value != nil {
		text, err := json.Marshal(value)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(text)
	}
	request, err := http.NewRequestWithContext(ctx, method, url, body)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	if tag != "" {
		request.Header.Set("If-Match", tag)
	}
	return request, nil
}

// refusal is what Caddy's answer means. A configuration that it cannot load is undone by itself.
func refusal(path string, status int, text []byte) error {
	var said struct {
		Error string `json:"error"`
	}
	_ = json.Unmarshal(text, &said) // what is not JSON says nothing
	err := fmt.Errorf("%s is answered with %d: %s", path, status, said.Error)
	switch {
	case status == http.StatusPreconditionFailed:
		return errChanged
	case status >= http.StatusInternalServerError:
		return &deploy.UnknownOutcome{Err: err}
	}
	return &deploy.Permanent{Err: err}
}

// explain gives an error of the connection its kind.
func (a admin) explain(err error) error {
	var operation *net.OpError
	if errors.As(err, &operation) && operation.Op == "dial" {
		return &deploy.Retryable{Err: fmt.Errorf("no Caddy takes orders at %s: %w", strings.TrimPrefix(a.base, "http://"), err)}
	}
	return &deploy.UnknownOutcome{Err: err}
}

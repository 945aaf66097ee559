package forge

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const (
	// callTime is the most that one call may take, with what it answers.
	callTime = 30 * time.Second
	// maxAnswer is the most bytes of an answer that are read.
	maxAnswer = 16 << 20
)

// Caller makes calls to a forge's API. It sends the token to that API's own host and to no other, says why a call was
// refused, and never shows the token. It is safe for concurrent use.
type Caller struct {
	Client *http.Client // for libraries; it adds the token by itself
	api    string       // without a slash at its end
	hidden []string     // the token, in every form in which it goes out
}

// Credential is the header by which an API knows who calls.
type Credential struct{ Name, Value string }

// Bearer answers the credential that most forges take.
func Bearer(token string) Credential { return Credential{"Authorization", "Bearer " + token} }

// NewCaller answers a caller of the API at an address such as "https://api.github.com".
func NewCaller(where Where, api string, credential Credential) (*Caller, error) {
	u, err := url.Parse(api)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.User != nil {
		return nil, fmt.Errorf("%q is no address of a forge", cut(where.Server, 80))
	}
	client := http.Client{}
	if where.Client != nil {
		client = *where.Client
	}
	if client.Timeout <= 0 || client.Timeout > callTime {
		client.Timeout = callTime
	}
	next := client.Transport
	if next == nil {
		next = http.DefaultTransport
	}
	client.Transport = guard{next: next, origin: u.Scheme + "://" + u.Host, credential: credential}
	client.CheckRedirect = sameMethod
	_, sent, _ := strings.Cut(credential.Value, " ")
	return &Caller{Client: &client, api: strings.TrimSuffix(api, "/"), hidden: []string{where.Token, sent}}, nil
}

// sameMethod follows a few redirects, but none that makes a reading call of one that writes: its answer would look as if
// something had been written. The guard sees to where they lead.
func sameMethod(request *http.Request, before []*http.Request) error {
	if len(before) >= 5 || request.Method != before[0].Method {
		return http.ErrUseLastResponse
	}
	return nil
}

// guard keeps calls, and the token with them, at one host.
type guard struct {
	next       http.RoundTripper
	origin     string // scheme://host:port
	credential Credential
}

// elsewhereError says that a forge sends to another address.
type elsewhereError struct{ origin string }

func (e elsewhereError) Error() string {
	return "it sends to " + e.origin + ", which is not asked: set that address where it is meant"
}

func (g guard) RoundTrip(request *http.Request) (*http.Response, error) {
	if origin := request.URL.Scheme + "://" + request.URL.Host; origin != g.origin {
		return nil, elsewhereError{origin}
	}
	request = request.Clone(request.Context())
	if g.credential.Name != "" {
		request.Header.Set(g.credential.Name, g.credential.Value)
	}
	response, err := g.next.RoundTrip(request)
	if err != nil {
		return nil, err
	}
	response.Body = &limitedBody{Reader: io.LimitReader(response.Body, maxAnswer), Closer: response.Body}
	return response, nil
}

// limitedBody is an answer that ends after a limit, whoever reads it.
type limitedBody struct {
	io.Reader
	io.Closer
}

// Call sends a value as JSON (nil: nothing) to a path below the API, and reads the answer into another (nil: not at all).
// What is hidden never stands in an error.
func (c *Caller) Call(ctx context.Context, method, path string, body, into any, hidden ...string) error {
	doing := method + " " + path
	request, err := c.request(ctx, method, path, body)
	if err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	response, err := c.Client.Do(request)
	if err != nil {
		return c.Refused(ctx, doing, nil, err, hidden...)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		return c.Refused(ctx, doing, nil, err, hidden...)
	}
	if response.StatusCode/100 != 2 {
		return c.Refused(ctx, doing, response, errors.New(string(answer)), hidden...)
	}
	if into == nil {
		return nil
	}
	if err := json.Unmarshal(answer, into); err != nil {
		return fmt.Errorf("%s: read the answer: %w", doing, err)
	}
	return nil
}

func (c *Caller) request(ctx context.Context, method, path string, body any) (*http.Request, error) {
	var content io.Reader
	if body != nil {
		encoded, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		content = bytes.NewReader(encoded)
	}
	request, err := http.NewRequestWithContext(ctx, method, c.api+path, content)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Accept", "application/json")
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	return request, nil
}

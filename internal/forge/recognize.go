package forge

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// Answer is what a server says to somebody without a token.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte // its beginning
}

// maxAnswered is the most of an answer that a server is recognized by.
const maxAnswered = 64 << 10

// Ask asks a server for a path without a token. A redirect to another host is no answer.
func Ask(ctx context.Context, client *http.Client, server, path string) (Answer, error) {
	caller, err := NewCaller(Where{Server: server, Client: client}, server, Credential{})
	if err != nil {
		return Answer{}, err
	}
	request, err := caller.request(ctx, http.MethodGet, path, nil)
	if err != nil {
		return Answer{}, fmt.Errorf("ask %s: %w", server, err)
	}
	response, err := caller.Client.Do(request)
	if _, elsewhere := errors.AsType[elsewhereError](err); elsewhere {
		return Answer{}, nil
	}
	if err != nil {
		return Answer{}, caller.Refused(ctx, "ask "+server, nil, err)
	}
	defer response.Body.Close()
	if response.StatusCode == http.StatusTooManyRequests || response.StatusCode >= 500 {
		return Answer{}, caller.Refused(ctx, "ask "+server, response, nil)
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswered))
	if err != nil {
		return Answer{}, caller.Refused(ctx, "ask "+server, nil, err)
	}
	return Answer{Status: response.StatusCode, Header: response.Header, Body: body}, nil
}

// IsHost says that a server has one of these names, or one below a name that begins with a dot.
func IsHost(server string, names ...string) bool {
	u, err := url.Parse(server)
	if err != nil {
		return false
	}
	host := strings.TrimPrefix(strings.ToLower(u.Hostname()), "www.")
	return slices.ContainsFunc(names, func(name string) bool {
		return host == name || strings.HasPrefix(name, ".") && strings.HasSuffix(host, name)
	})
}

// IsPublic says that a server is one of the public forges, of which nobody need ask what they are.
func IsPublic(server string) bool {
	return IsHost(server, "github.com", ".ghe.com", "gitlab.com", "gitea.com", "codeberg.org", "bitbucket.org")
}

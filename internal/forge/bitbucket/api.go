package bitbucket

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"

	"github.com/towpath-cd/towpath/internal/forge"
)

const (
	address = "https://api.bitbucket.org/2.0"
	maxKey  = 40 // of a status
	maxText = 255
)

// api is a repository at Bitbucket Cloud. https://developer.atlassian.com/cloud/bitbucket/rest/
type api struct {
	caller  *forge.Caller
	server  string
	path    string     // ana/shop
	writing sync.Mutex // what is looked for and then made, is made once
}

// open takes the access token of a repository, a project or a workspace, or ACCOUNT:TOKEN with the API token of an account.
func open(where forge.Where) (forge.API, error) {
	if !forge.IsHost(where.Server, "bitbucket.org") {
		return nil, fmt.Errorf("%w: Bitbucket Cloud is at https://bitbucket.org only; elsewhere it is bitbucket-server",
			forge.ErrUnsupported)
	}
	if _, _, err := forge.SplitPath(where.Path); err != nil {
		return nil, err
	}
	caller, err := forge.NewCaller(where, address, credential(where.Token))
	if err != nil {
		return nil, err
	}
	return &api{caller: caller, server: where.Server, path: where.Path}, nil
}

func credential(token string) forge.Credential {
	if strings.Contains(token, ":") {
		return forge.Credential{Name: "Authorization", Value: "Basic " + base64.StdEncoding.EncodeToString([]byte(token))}
	}
	return forge.Bearer(token)
}

// at answers the path of a part of the repository in the API.
func (a *api) at(part string) string { return "/repositories/" + a.path + part }

// list reads all pages of a list. Each says where the next one is.
func list[T any](ctx context.Context, a *api, part string) ([]T, error) {
	var all []T
	path := a.at(part)
	err := forge.Pages(func(page int) (int, error) {
		var told struct {
			Values []T    `json:"values"`
			Next   string `json:"next"`
		}
		if err := a.caller.Call(ctx, "GET", path, nil, &told); err != nil {
			return 0, err
		}
		all = append(all, told.Values...)
		if told.Next == "" {
			return 0, nil
		}
		next, found := strings.CutPrefix(told.Next, address)
		if !found {
			return 0, errors.New("the next page of a list is at another address")
		}
		path = next
		return page + 1, nil
	})
	return all, err
}

func (a *api) Repository(ctx context.Context) (forge.Repository, error) {
	var r struct {
		FullName string                `json:"full_name"`
		Private  bool                  `json:"is_private"`
		Main     struct{ Name string } `json:"mainbranch"`
		Links    struct {
			Clone []struct{ Name, Href string } `json:"clone"`
		} `json:"links"`
	}
	if err := a.caller.Call(ctx, "GET", a.at(""), nil, &r); err != nil {
		return forge.Repository{}, err
	}
	told := forge.Repository{Path: r.FullName, DefaultBranch: r.Main.Name, Private: r.Private}
	for _, link := range r.Links.Clone {
		switch link.Name {
		case "https":
			told.CloneHTTPS = withoutAccount(link.Href)
		case "ssh":
			told.CloneSSH = link.Href
		}
	}
	var err error
	told.Protected, err = forge.WhereShown(a.protected(ctx))
	return told, err
}

// withoutAccount leaves out who asked for the address, which Bitbucket puts into it.
func withoutAccount(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	u.User = nil
	return u.String()
}

func (a *api) protected(ctx context.Context) ([]string, error) {
	restrictions, err := list[struct {
		Kind    string `json:"kind"`
		Match   string `json:"branch_match_kind"`
		Pattern string `json:"pattern"`
	}](ctx, a, "/branch-restrictions?kind=push&pagelen=100")
	var globs []string
	for _, r := range restrictions {
		if r.Kind == "push" && r.Match == "glob" {
			globs = append(globs, r.Pattern)
		}
	}
	return globs, err
}

// AddDeployKey needs not say that it may only read: Bitbucket's keys cannot do more.
func (a *api) AddDeployKey(ctx context.Context, title, publicKey string) error {
	a.writing.Lock()
	defer a.writing.Unlock()
	keys, err := list[struct{ Key string }](ctx, a, "/deploy-keys?pagelen=100")
	if err != nil {
		return err
	}
	for _, k := range keys {
		if forge.SameKey(k.Key, publicKey) {
			return nil
		}
	}
	return a.caller.Call(ctx, "POST", a.at("/deploy-keys"), map[string]string{"key": publicKey, "label": title}, nil)
}

func (a *api) SetWebhook(ctx context.Context, url, secret string) error {
	a.writing.Lock()
	defer a.writing.Unlock()
	return a.webhooks(ctx, url, secret).Set(url)
}

func (a *api) RemoveWebhook(ctx context.Context, url string) error {
	a.writing.Lock()
	defer a.writing.Unlock()
	return a.webhooks(ctx, url, "").Remove(url)
}

func (a *api) webhooks(ctx context.Context, hookURL, secret string) forge.Webhooks[string] {
	wanted := map[string]any{
		"description": "Towpath", "url": hookURL, "active": true, "secret": secret,
		"skip_cert_verification": false,
		"events": []string{
			"repo:push", "pullrequest:created", "pullrequest:updated", "pullrequest:push", "pullrequest:fulfilled",
			"pullrequest:rejected",
		},
	}
	one := func(id string) string { return a.at("/hooks/" + url.PathEscape(id)) }
	return forge.Webhooks[string]{
		List: func() ([]forge.Webhook[string], error) {
			hooks, err := list[struct{ UUID, URL string }](ctx, a, "/hooks?pagelen=100")
			var all []forge.Webhook[string]
			for _, h := range hooks {
				all = append(all, forge.Webhook[string]{ID: h.UUID, URL: h.URL})
			}
			return all, err
		},
		Create: func() error { return a.caller.Call(ctx, "POST", a.at("/hooks"), wanted, nil, secret) },
		Change: func(id string) error { return a.caller.Call(ctx, "PUT", one(id), wanted, nil, secret) },
		Delete: func(id string) error { return a.caller.Call(ctx, "DELETE", one(id), nil, nil) },
	}
}

func (a *api) SetStatus(ctx context.Context, revision string, s forge.Status) error {
	word, err := forge.Words{Pending: "INPROGRESS", Success: "SUCCESSFUL", Failure: "FAILED"}.Of(s.State)
	if err != nil {
		return err
	}
	if err := forge.CheckRevision(revision); err != nil {
		return err
	}
	link := s.URL
	if link == "" { // Bitbucket takes none without
		link = a.server + "/" + a.path
	}
	status := map[string]string{
		"key": key(s.Context), "name": forge.Short(s.Context, maxText), "state": word, "url": link,
		"description": forge.Short(s.Description, maxText),
	}
	return a.caller.Call(ctx, "POST", a.at("/commit/"+revision+"/statuses/build"), status, nil)
}

// key names a status among those of a commit. A long one becomes its digest; people read the name.
func key(context string) string {
	if len(context) <= maxKey {
		return context
	}
	digest := sha256.Sum256([]byte(context))
	return hex.EncodeToString(digest[:])[:maxKey]
}

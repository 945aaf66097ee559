package bitbucketserver

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/towpath-cd/towpath/internal/forge"
)

const (
	pageSize = 100
	maxText  = 255
)

// api is a repository at Bitbucket Data Center. https://developer.atlassian.com/server/bitbucket/rest/
type api struct {
	caller  *forge.Caller
	server  string
	project string
	slug    string
	writing sync.Mutex // what is looked for and then made, is made once
}

// open takes an HTTP access token that administers the repository, or ACCOUNT:PASSWORD. In an address for git the path
// begins with scm/, which is no part of the repository's name.
func open(where forge.Where) (forge.API, error) {
	project, slug, err := forge.SplitPath(strings.TrimPrefix(where.Path, "scm/"))
	if err != nil {
		return nil, err
	}
	caller, err := forge.NewCaller(where, where.Server, credential(where.Token))
	if err != nil {
		return nil, err
	}
	return &api{caller: caller, server: where.Server, project: project, slug: slug}, nil
}

func credential(token string) forge.Credential {
	if strings.Contains(token, ":") {
		return forge.Credential{Name: "Authorization", Value: "Basic " + base64.StdEncoding.EncodeToString([]byte(token))}
	}
	return forge.Bearer(token)
}

// at answers the path of a part of the repository, in one of Bitbucket's APIs.
func (a *api) at(api, part string) string {
	return "/rest/" + api + "/projects/" + a.project + "/repos/" + a.slug + part
}

// list reads all pages of a list.
func list[T any](ctx context.Context, a *api, path string) ([]T, error) {
	var all []T
	start := 0
	err := forge.Pages(func(page int) (int, error) {
		var told struct {
			Values []T  `json:"values"`
			IsLast bool `json:"isLastPage"`
			Next   int  `json:"nextPageStart"`
		}
		if err := a.caller.Call(ctx, "GET", fmt.Sprintf("%s?limit=%d&start=%d", path, pageSize, start), nil, &told); err != nil {
			return 0, err
		}
		all = append(all, told.Values...)
		if told.IsLast || told.Next <= start {
			return 0, nil
		}
		start = told.Next
		return page + 1, nil
	})
	return all, err
}

func (a *api) Repository(ctx context.Context) (forge.Repository, error) {
	var r struct {
		repository
		Public bool `json:"public"`
		Links  struct {
			Clone []struct{ Name, Href string } `json:"clone"`
		} `json:"links"`
	}
	if err := a.caller.Call(ctx, "GET", a.at("api/latest", ""), nil, &r); err != nil {
		return forge.Repository{}, err
	}
	told := forge.Repository{Path: r.path(), Private: !r.Public}
	for _, link := range r.Links.Clone {
		switch link.Name {
		case "http":
			told.CloneHTTPS = link.Href
		case "ssh":
			told.CloneSSH = link.Href
		}
	}
	var err error
	if told.DefaultBranch, err = a.defaultBranch(ctx); err != nil {
		return forge.Repository{}, err
	}
	told.Protected, err = forge.WhereShown(a.protected(ctx))
	return told, err
}

// defaultBranch answers none for an empty repository, which has none yet.
func (a *api) defaultBranch(ctx context.Context) (string, error) {
	var branch struct {
		ID string `json:"id"`
	}
	err := a.caller.Call(ctx, "GET", a.at("api/latest", "/default-branch"), nil, &branch)
	if errors.Is(err, forge.ErrNotFound) {
		return "", nil
	}
	return strings.TrimPrefix(branch.ID, "refs/heads/"), err
}

func (a *api) protected(ctx context.Context) ([]string, error) {
	restrictions, err := list[struct {
		Matcher struct {
			ID   string              `json:"id"`
			Show string              `json:"displayId"`
			Type struct{ ID string } `json:"type"`
		} `json:"matcher"`
	}](ctx, a, a.at("branch-permissions/2.0", "/restrictions"))
	var globs []string
	for _, r := range restrictions {
		switch r.Matcher.Type.ID {
		case "BRANCH":
			globs = append(globs, strings.TrimPrefix(r.Matcher.ID, "refs/heads/"))
		case "PATTERN":
			globs = append(globs, r.Matcher.Show)
		}
	}
	return globs, err
}

// accessKey is a key with what it may do.
type accessKey struct {
	Key struct {
		Text  string `json:"text"`
		Label string `json:"label,omitempty"`
	} `json:"key"`
	Permission string `json:"permission"`
}

func (a *api) AddDeployKey(ctx context.Context, title, publicKey string) error {
	a.writing.Lock()
	defer a.writing.Unlock()
	keys, err := list[accessKey](ctx, a, a.at("keys/latest", "/ssh"))
	if err != nil {
		return err
	}
	for _, k := range keys {
		if forge.SameKey(k.Key.Text, publicKey) {
			return nil
		}
	}
	key := accessKey{Permission: "REPO_READ"}
	key.Key.Text, key.Key.Label = publicKey, title
	return a.caller.Call(ctx, "POST", a.at("keys/latest", "/ssh"), key, nil)
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

func (a *api) webhooks(ctx context.Context, url, secret string) forge.Webhooks[int64] {
	all := a.at("api/latest", "/webhooks")
	wanted := map[string]any{
		"name": "Towpath", "url": url, "active": true, "configuration": map[string]string{"secret": secret},
		"sslVerificationRequired": true,
		"events": []string{
			"repo:refs_changed", "pr:opened", "pr:from_ref_updated", "pr:modified", "pr:merged", "pr:declined", "pr:deleted",
		},
	}
	one := func(id int64) string { return fmt.Sprintf("%s/%d", all, id) }
	return forge.Webhooks[int64]{
		List: func() ([]forge.Webhook[int64], error) {
			return list[forge.Webhook[int64]](ctx, a, all)
		},
		Create: func() error { return a.caller.Call(ctx, "POST", all, wanted, nil, secret) },
		Change: func(id int64) error { return a.caller.Call(ctx, "PUT", one(id), wanted, nil, secret) },
		Delete: func(id int64) error { return a.caller.Call(ctx, "DELETE", one(id), nil, nil) },
	}
}

// SetStatus takes the call that Bitbucket has had since 7.4, which binds the status to the repository.
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
		link = a.server
	}
	status := map[string]string{
		"key": forge.Short(s.Context, maxText), "name": forge.Short(s.Context, maxText), "state": word, "url": link,
		"description": forge.Short(s.Description, maxText),
	}
	return a.caller.Call(ctx, "POST", a.at("api/latest", "/commits/"+revision+"/builds"), status, nil)
}

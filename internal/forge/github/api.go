package github

import (
	"context"
	"net/http"
	"strings"
	"sync"

	"github.com/google/go-github/v89/github"

	"github.com/towpath-cd/towpath/internal/forge"
)

const (
	perPage        = 100
	maxDescription = 140 // https://docs.github.com/en/rest/commits/statuses
)

// api is a repository at GitHub.
type api struct {
	caller      *forge.Caller
	client      *github.Client
	owner, name string
	writing     sync.Mutex // what is looked for and then made, is made once
}

// open takes a token of a person, of an application's installation, or one with fine-grained permissions: Webhooks,
// Administration (for keys) and Commit statuses, each to write.
func open(where forge.Where) (forge.API, error) {
	owner, name, err := forge.SplitPath(where.Path)
	if err != nil {
		return nil, err
	}
	base := address(where.Server)
	caller, err := forge.NewCaller(where, base, forge.Bearer(where.Token))
	if err != nil {
		return nil, err
	}
	base += "/"
	client, err := github.NewClient(github.WithHTTPClient(caller.Client), github.WithURLs(&base, &base),
		github.WithDisableRateLimitCheck(), github.WithUserAgent("towpath"))
	if err != nil {
		return nil, err
	}
	return &api{caller: caller, client: client, owner: owner, name: name}, nil
}

// address is where a server's API is. https://docs.github.com/en/enterprise-server/rest/using-the-rest-api
func address(server string) string {
	switch {
	case forge.IsHost(server, "github.com"):
		return "https://api.github.com"
	case isPublic(server):
		_, host, _ := strings.Cut(server, "://")
		return "https://api." + host
	}
	return server + "/api/v3"
}

func (a *api) refused(ctx context.Context, doing string, r *github.Response, err error, hidden ...string) error {
	if err == nil {
		return nil
	}
	var response *http.Response
	if r != nil {
		response = r.Response
	}
	return a.caller.Refused(ctx, doing, response, err, hidden...)
}

func (a *api) Repository(ctx context.Context) (forge.Repository, error) {
	r, response, err := a.client.Repositories.Get(ctx, a.owner, a.name)
	if err != nil {
		return forge.Repository{}, a.refused(ctx, "read the repository", response, err)
	}
	protected, err := forge.WhereShown(a.protected(ctx))
	return forge.Repository{
		Path: r.GetFullName(), DefaultBranch: r.GetDefaultBranch(), CloneHTTPS: r.GetCloneURL(), CloneSSH: r.GetSSHURL(),
		Private: r.GetPrivate(), Protected: protected,
	}, err
}

// protected lists branches by their names: none of them can hold a character that a glob gives a meaning.
func (a *api) protected(ctx context.Context) ([]string, error) {
	var names []string
	err := forge.Pages(func(page int) (int, error) {
		branches, response, err := a.client.Repositories.ListBranches(ctx, a.owner, a.name, &github.BranchListOptions{
			Protected: new(true), ListOptions: github.ListOptions{Page: page, PerPage: perPage},
		})
		if err != nil {
			return 0, a.refused(ctx, "list the protected branches", response, err)
		}
		for _, b := range branches {
			names = append(names, b.GetName())
		}
		return response.NextPage, nil
	})
	return names, err
}

func (a *api) AddDeployKey(ctx context.Context, title, publicKey string) error {
	a.writing.Lock()
	defer a.writing.Unlock()
	there, err := a.hasKey(ctx, publicKey)
	if err != nil || there {
		return err
	}
	key := &github.Key{Title: &title, Key: &publicKey, ReadOnly: new(true)}
	_, response, err := a.client.Repositories.CreateKey(ctx, a.owner, a.name, key)
	return a.refused(ctx, "add a deploy key", response, err)
}

func (a *api) hasKey(ctx context.Context, publicKey string) (found bool, err error) {
	err = forge.Pages(func(page int) (int, error) {
		keys, response, err := a.client.Repositories.ListKeys(ctx, a.owner, a.name, &github.ListOptions{Page: page, PerPage: perPage})
		if err != nil {
			return 0, a.refused(ctx, "list the deploy keys", response, err)
		}
		for _, key := range keys {
			found = found || forge.SameKey(key.GetKey(), publicKey)
		}
		return response.NextPage, nil
	})
	return found, err
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
	wanted := func() *github.Hook {
		return &github.Hook{
			Name: new("web"), Active: new(true), Events: []string{"push", "pull_request"},
			Config: &github.HookConfig{
				URL: &url, Secret: &secret, ContentType: new("json"), InsecureSSL: new("0"),
			},
		}
	}
	return forge.Webhooks[int64]{
		List: func() ([]forge.Webhook[int64], error) { return a.listWebhooks(ctx) },
		Create: func() error {
			_, response, err := a.client.Repositories.CreateHook(ctx, a.owner, a.name, wanted())
			return a.refused(ctx, "make the webhook", response, err, secret)
		},
		Change: func(id int64) error {
			_, response, err := a.client.Repositories.EditHook(ctx, a.owner, a.name, id, wanted())
			return a.refused(ctx, "change the webhook", response, err, secret)
		},
		Delete: func(id int64) error {
			response, err := a.client.Repositories.DeleteHook(ctx, a.owner, a.name, id)
			return a.refused(ctx, "remove the webhook", response, err)
		},
	}
}

func (a *api) listWebhooks(ctx context.Context) (all []forge.Webhook[int64], err error) {
	err = forge.Pages(func(page int) (int, error) {
		hooks, response, err := a.client.Repositories.ListHooks(ctx, a.owner, a.name, &github.ListOptions{Page: page, PerPage: perPage})
		if err != nil {
			return 0, a.refused(ctx, "list the webhooks", response, err)
		}
		for _, hook := range hooks {
			if hook.Config != nil {
				all = append(all, forge.Webhook[int64]{ID: hook.GetID(), URL: hook.Config.GetURL()})
			}
		}
		return response.NextPage, nil
	})
	return all, err
}

func (a *api) SetStatus(ctx context.Context, revision string, s forge.Status) error {
	word, err := forge.Words{Pending: "pending", Success: "success", Failure: "failure"}.Of(s.State)
	if err != nil {
		return err
	}
	if err := forge.CheckRevision(revision); err != nil {
		return err
	}
	status := github.RepoStatus{
		State: &word, Context: &s.Context, Description: new(forge.Short(s.Description, maxDescription)),
	}
	if s.URL != "" {
		status.TargetURL = &s.URL
	}
	_, response, err := a.client.Repositories.CreateStatus(ctx, a.owner, a.name, revision, status)
	return a.refused(ctx, "set the status", response, err)
}

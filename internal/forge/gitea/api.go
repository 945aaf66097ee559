package gitea

import (
	"context"
	"net/http"
	"sync"

	"code.gitea.io/sdk/gitea"

	"github.com/towpath-cd/towpath/internal/forge"
)

const (
	perPage        = 50 // the most that a server gives where its settings are as they come
	maxDescription = 255
)

// api is a repository at Gitea or Forgejo.
type api struct {
	caller      *forge.Caller
	server      string
	owner, name string
	writing     sync.Mutex // what is looked for and then made, is made once
}

// open takes a token with the scope write:repository, of an account that administers the repository.
func open(where forge.Where) (forge.API, error) {
	owner, name, err := forge.SplitPath(where.Path)
	if err != nil {
		return nil, err
	}
	credential := forge.Credential{Name: "Authorization", Value: "token " + where.Token}
	caller, err := forge.NewCaller(where, where.Server, credential)
	if err != nil {
		return nil, err
	}
	return &api{caller: caller, server: where.Server, owner: owner, name: name}, nil
}

// client answers a client for one call: the library keeps the context in it. It is told to leave the server's version
// alone, which it would ask for first.
func (a *api) client(ctx context.Context) (*gitea.Client, error) {
	return gitea.NewClient(a.server, gitea.SetContext(ctx), gitea.SetHTTPClient(a.caller.Client), gitea.SetGiteaVersion(""),
		gitea.SetUserAgent("towpath"))
}

func (a *api) refused(ctx context.Context, doing string, r *gitea.Response, err error, hidden ...string) error {
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
	client, err := a.client(ctx)
	if err != nil {
		return forge.Repository{}, err
	}
	r, response, err := client.GetRepo(a.owner, a.name)
	if err != nil {
		return forge.Repository{}, a.refused(ctx, "read the repository", response, err)
	}
	protected, err := forge.WhereShown(a.protected(ctx, client))
	return forge.Repository{
		Path: r.FullName, DefaultBranch: r.DefaultBranch, CloneHTTPS: r.CloneURL, CloneSSH: r.SSHURL,
		Private: r.Private || r.Internal, Protected: protected,
	}, err
}

func (a *api) protected(ctx context.Context, client *gitea.Client) ([]string, error) {
	rules, response, err := client.ListBranchProtections(a.owner, a.name, gitea.ListBranchProtectionsOptions{})
	if err != nil {
		return nil, a.refused(ctx, "list the protected branches", response, err)
	}
	var globs []string
	for _, rule := range rules {
		globs = append(globs, rule.RuleName)
	}
	return globs, nil
}

func (a *api) AddDeployKey(ctx context.Context, title, publicKey string) error {
	a.writing.Lock()
	defer a.writing.Unlock()
	client, err := a.client(ctx)
	if err != nil {
		return err
	}
	there, err := a.hasKey(ctx, client, publicKey)
	if err != nil || there {
		return err
	}
	key := gitea.CreateKeyOption{Title: title, Key: publicKey, ReadOnly: true}
	_, response, err := client.CreateDeployKey(a.owner, a.name, key)
	return a.refused(ctx, "add a deploy key", response, err)
}

func (a *api) hasKey(ctx context.Context, client *gitea.Client, publicKey string) (found bool, err error) {
	err = forge.Pages(func(page int) (int, error) {
		keys, response, err := client.ListDeployKeys(a.owner, a.name, gitea.ListDeployKeysOptions{ListOptions: listed(page)})
		if err != nil {
			return 0, a.refused(ctx, "list the deploy keys", response, err)
		}
		for _, key := range keys {
			found = found || forge.SameKey(key.Key, publicKey)
		}
		return response.NextPage, nil
	})
	return found, err
}

func listed(page int) gitea.ListOptions { return gitea.ListOptions{Page: page, PageSize: perPage} }

func (a *api) SetWebhook(ctx context.Context, url, secret string) error {
	a.writing.Lock()
	defer a.writing.Unlock()
	webhooks, err := a.webhooks(ctx, url, secret)
	if err != nil {
		return err
	}
	return webhooks.Set(url)
}

func (a *api) RemoveWebhook(ctx context.Context, url string) error {
	a.writing.Lock()
	defer a.writing.Unlock()
	webhooks, err := a.webhooks(ctx, url, "")
	if err != nil {
		return err
	}
	return webhooks.Remove(url)
}

// webhooks are not changed: Gitea's call for that passes the secret over (editHook in its routers/api/v1/utils/hook.go).
func (a *api) webhooks(ctx context.Context, url, secret string) (forge.Webhooks[int64], error) {
	client, err := a.client(ctx)
	return forge.Webhooks[int64]{
		List: func() ([]forge.Webhook[int64], error) { return a.listWebhooks(ctx, client) },
		Create: func() error {
			_, response, err := client.CreateRepoHook(a.owner, a.name, gitea.CreateHookOption{
				Type: gitea.HookTypeGitea, Active: true, BranchFilter: "*",
				Events: []string{"push", "delete", "pull_request_only", "pull_request_sync"},
				Config: map[string]string{"url": url, "content_type": "json", "secret": secret},
			})
			return a.refused(ctx, "make the webhook", response, err, secret)
		},
		Delete: func(id int64) error {
			response, err := client.DeleteRepoHook(a.owner, a.name, id)
			return a.refused(ctx, "remove the webhook", response, err)
		},
	}, err
}

func (a *api) listWebhooks(ctx context.Context, client *gitea.Client) (all []forge.Webhook[int64], err error) {
	err = forge.Pages(func(page int) (int, error) {
		hooks, response, err := client.ListRepoHooks(a.owner, a.name, gitea.ListHooksOptions{ListOptions: listed(page)})
		if err != nil {
			return 0, a.refused(ctx, "list the webhooks", response, err)
		}
		for _, hook := range hooks {
			all = append(all, forge.Webhook[int64]{ID: hook.ID, URL: hook.Config["url"]})
		}
		return response.NextPage, nil
	})
	return all, err
}

func (a *api) SetStatus(ctx context.Context, revision string, s forge.Status) error {
	word, err := forge.Words{
		Pending: string(gitea.StatusPending), Success: string(gitea.StatusSuccess), Failure: string(gitea.StatusFailure),
	}.Of(s.State)
	if err != nil {
		return err
	}
	if err := forge.CheckRevision(revision); err != nil {
		return err
	}
	client, err := a.client(ctx)
	if err != nil {
		return err
	}
	_, response, err := client.CreateStatus(a.owner, a.name, revision, gitea.CreateStatusOption{
		State: gitea.StatusState(word), Context: s.Context, TargetURL: s.URL,
		Description: forge.Short(s.Description, maxDescription),
	})
	return a.refused(ctx, "set the status", response, err)
}

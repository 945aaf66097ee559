package gitlab

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"sync"

	gitlab "gitlab.com/gitlab-org/api/client-go/v2"

	"github.com/towpath-cd/towpath/internal/forge"
)

const (
	perPage        = 100
	maxDescription = 255
)

// api is a project at GitLab.
type api struct {
	caller  *forge.Caller
	client  *gitlab.Client
	path    string
	writing sync.Mutex // what is looked for and then made, is made once
}

// open takes a token of a person, a group or a project that has the scope "api" and the role of a maintainer.
func open(where forge.Where) (forge.API, error) {
	base := where.Server + "/api/v4"
	caller, err := forge.NewCaller(where, base, forge.Bearer(where.Token))
	if err != nil {
		return nil, err
	}
	client, err := gitlab.NewAuthSourceClient(gitlab.Unauthenticated{}, // the caller adds the token
		gitlab.WithBaseURL(base), gitlab.WithHTTPClient(caller.Client), gitlab.WithoutRetries(), // who calls us tries again
		gitlab.WithCustomLimiter(unlimited{}), gitlab.WithUserAgent("towpath"),
		gitlab.WithURLWarningLogger(slog.New(slog.DiscardHandler)))
	if err != nil {
		return nil, err
	}
	return &api{caller: caller, client: client, path: where.Path}, nil
}

// unlimited leaves it to GitLab to say that it is called too often.
type unlimited struct{}

func (unlimited) Wait(context.Context) error { return nil }

func (a *api) refused(ctx context.Context, doing string, r *gitlab.Response, err error, hidden ...string) error {
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
	p, response, err := a.client.Projects.GetProject(a.path, nil, gitlab.WithContext(ctx))
	if err != nil {
		return forge.Repository{}, a.refused(ctx, "read the project", response, err)
	}
	protected, err := forge.WhereShown(a.protected(ctx))
	return forge.Repository{
		Path: p.PathWithNamespace, DefaultBranch: p.DefaultBranch, CloneHTTPS: p.HTTPURLToRepo, CloneSSH: p.SSHURLToRepo,
		Private: p.Visibility != gitlab.PublicVisibility, Protected: protected,
	}, err
}

// page asks for a page of a list.
func page(number int) gitlab.ListOptions {
	return gitlab.ListOptions{Page: int64(number), PerPage: perPage}
}

func (a *api) protected(ctx context.Context) ([]string, error) {
	var globs []string
	err := forge.Pages(func(number int) (int, error) {
		options := &gitlab.ListProtectedBranchesOptions{ListOptions: page(number)}
		branches, response, err := a.client.ProtectedBranches.ListProtectedBranches(a.path, options, gitlab.WithContext(ctx))
		if err != nil {
			return 0, a.refused(ctx, "list the protected branches", response, err)
		}
		for _, b := range branches {
			globs = append(globs, b.Name)
		}
		return int(response.NextPage), nil
	})
	return globs, err
}

func (a *api) AddDeployKey(ctx context.Context, title, publicKey string) error {
	a.writing.Lock()
	defer a.writing.Unlock()
	there, err := a.hasKey(ctx, publicKey)
	if err != nil || there {
		return err
	}
	options := &gitlab.AddDeployKeyOptions{Title: &title, Key: &publicKey, CanPush: new(false)}
	_, response, err := a.client.DeployKeys.AddDeployKey(a.path, options, gitlab.WithContext(ctx))
	return a.refused(ctx, "add a deploy key", response, err)
}

func (a *api) hasKey(ctx context.Context, publicKey string) (found bool, err error) {
	err = forge.Pages(func(number int) (int, error) {
		options := &gitlab.ListProjectDeployKeysOptions{ListOptions: page(number)}
		keys, response, err := a.client.DeployKeys.ListProjectDeployKeys(a.path, options, gitlab.WithContext(ctx))
		if err != nil {
			return 0, a.refused(ctx, "list the deploy keys", response, err)
		}
		for _, key := range keys {
			found = found || forge.SameKey(key.Key, publicKey)
		}
		return int(response.NextPage), nil
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
	token, signingToken := &secret, (*string)(nil)
	if strings.HasPrefix(secret, signing) {
		token, signingToken = nil, &secret
	}
	return forge.Webhooks[int64]{
		List: func() ([]forge.Webhook[int64], error) { return a.listWebhooks(ctx) },
		Create: func() error {
			_, response, err := a.client.Projects.AddProjectHook(a.path, &gitlab.AddProjectHookOptions{
				URL: &url, Token: token, SigningToken: signingToken, PushEvents: new(true), TagPushEvents: new(true),
				MergeRequestsEvents: new(true), EnableSSLVerification: new(true),
			}, gitlab.WithContext(ctx))
			return a.refused(ctx, "make the webhook", response, err, secret)
		},
		Change: func(id int64) error {
			_, response, err := a.client.Projects.EditProjectHook(a.path, id, &gitlab.EditProjectHookOptions{
				URL: &url, Token: token, SigningToken: signingToken, PushEvents: new(true), TagPushEvents: new(true),
				MergeRequestsEvents: new(true), EnableSSLVerification: new(true), PushEventsBranchFilter: new(""),
			}, gitlab.WithContext(ctx))
			return a.refused(ctx, "change the webhook", response, err, secret)
		},
		Delete: func(id int64) error {
			response, err := a.client.Projects.DeleteProjectHook(a.path, id, gitlab.WithContext(ctx))
			return a.refused(ctx, "remove the webhook", response, err)
		},
	}
}

func (a *api) listWebhooks(ctx context.Context) (all []forge.Webhook[int64], err error) {
	err = forge.Pages(func(number int) (int, error) {
		options := &gitlab.ListProjectHooksOptions{ListOptions: page(number)}
		hooks, response, err := a.client.Projects.ListProjectHooks(a.path, options, gitlab.WithContext(ctx))
		if err != nil {
			return 0, a.refused(ctx, "list the webhooks", response, err)
		}
		for _, hook := range hooks {
			all = append(all, forge.Webhook[int64]{ID: hook.ID, URL: hook.URL})
		}
		return int(response.NextPage), nil
	})
	return all, err
}

func (a *api) SetStatus(ctx context.Context, revision string, s forge.Status) error {
	word, err := forge.Words{
		Pending: string(gitlab.Pending), Success: string(gitlab.Success), Failure: string(gitlab.Failed),
	}.Of(s.State)
	if err != nil {
		return err
	}
	if err := forge.CheckRevision(revision); err != nil {
		return err
	}
	options := &gitlab.SetCommitStatusOptions{
		State: gitlab.BuildStateValue(word), Name: &s.Context, Description: new(forge.Short(s.Description, maxDescription)),
	}
	if s.URL != "" {
		options.TargetURL = &s.URL
	}
	_, response, err := a.client.Commits.SetCommitStatus(a.path, revision, options, gitlab.WithContext(ctx))
	if isNoMove(response, err) && a.stands(ctx, revision, s.Context, word) {
		return nil
	}
	return a.refused(ctx, "set the status", response, err)
}

// isNoMove says that GitLab refused a status because none leads there from the one that the commit has: not even pending
// to pending. https://gitlab.com/gitlab-org/gitlab-foss/-/issues/25807
func isNoMove(response *gitlab.Response, err error) bool {
	return err != nil && response != nil && response.Response != nil && response.StatusCode == http.StatusBadRequest &&
		strings.Contains(err.Error(), "Cannot transition status")
}

// stands says that a commit's status is the one that is to be.
func (a *api) stands(ctx context.Context, revision, name, word string) bool {
	statuses, _, err := a.client.Commits.GetCommitStatuses(a.path, revision,
		&gitlab.GetCommitStatusesOptions{Name: &name}, gitlab.WithContext(ctx))
	for _, s := range statuses {
		if err == nil && s.Name == name && s.Status == word {
			return true
		}
	}
	return false
}

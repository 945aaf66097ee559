package client

import (
	"context"
	"net/url"
	"time"
)

// Project is a repository that the server watches.
type Project struct {
	ID              string    `json:"id"`
	Name            string    `json:"name"`
	URL             string    `json:"url"`
	DefaultBranch   string    `json:"default_branch"`
	Pipelines       []string  `json:"pipelines,omitempty"`
	Poll            float64   `json:"poll"` // seconds; 0 is never
	Paused          bool      `json:"paused,omitempty"`
	Forks           string    `json:"forks,omitempty"`         // what becomes of pull requests from forks: run, ignore; empty is that each waits for a maintainer's go
	Protected       []string  `json:"protected,omitempty"`     // globs of branches that are trusted besides the default one
	KnownHosts      string    `json:"known_hosts,omitempty"`   // the SSH host keys of its repository, as in known_hosts(5)
	Forge           string    `json:"forge,omitempty"`         // the kind of its server: github, gitlab, gitea, bitbucket, bitbucket-server
	WebhookURL      string    `json:"webhook_url"`             // where its forge delivers to
	WebhookSecrets  int       `json:"webhook_secrets"`         // that deliveries may be signed with: 0 is that none is taken, 2 during a rotation
	StepsAtOnce     int       `json:"steps_at_once,omitempty"` // that each of its pipelines runs at most; 0 is as many as there are workers for
	Priority        int       `json:"priority,omitempty"`      // its steps go before those of projects with less; set by who manages workers
	CredentialNames []string  `json:"credentials,omitempty"`   // that the server has for its repository and its forge; their values are never read back
	CreatedAt       time.Time `json:"created_at"`
}

// NewProject asks for a repository to be watched. The name may be empty: the URL's last part is taken.
type NewProject struct {
	URL  string  `json:"url"`
	Name string  `json:"name,omitempty"`
	Poll float64 `json:"poll,omitempty"` // seconds; 0 is the server's default

	Forge      string   `json:"forge,omitempty"`       // its kind, as in Project, or none; empty: the server finds out
	ForgeURL   string   `json:"forge_url,omitempty"`   // of the repository at its forge, where git fetches it from elsewhere
	Token      string   `json:"token,omitempty"`       // for the forge's API, and for git over HTTPS; written, never answered
	DeployKey  bool     `json:"deploy_key,omitempty"`  // the server makes an SSH key of the project's own
	Webhook    bool     `json:"webhook,omitempty"`     // the server sets the webhook up, or says how
	KnownHosts string   `json:"known_hosts,omitempty"` // the SSH host keys to believe, as in known_hosts(5)
	Forks      string   `json:"forks,omitempty"`       // what becomes of pull requests from forks: ask (the default), run or ignore
	Protected  []string `json:"protected,omitempty"`   // globs of branches that are trusted besides the default one
}

// AddedProject is a project that was added, and what a person has left to do.
type AddedProject struct {
	Project
	DeployKey string   `json:"deploy_key,omitempty"` // the public half of the key that was made, as a line of authorized_keys
	Webhook   *Webhook `json:"webhook,omitempty"`    // where one was asked for
	Notes     []string `json:"notes,omitempty"`      // what could not be done, and what that means
}

// PipelineFiles are those at the tip of a project's default branch.
type PipelineFiles struct {
	Branch   string         `json:"branch"`
	Revision string         `json:"revision"`
	Files    []PipelineFile `json:"files"`
}

// PipelineFile is towpath.yaml or a file of .towpath/.
type PipelineFile struct {
	Path     string   `json:"path"`
	Pipeline string   `json:"pipeline,omitempty"` // its name, where the file is right
	Starts   []string `json:"starts,omitempty"`   // what starts it, for people
	Problems string   `json:"problems,omitempty"` // what is wrong with it, with lines
}

// Change is a new revision that was seen, or a wish for a run, and what became of it.
type Change struct {
	ID        int          `json:"id"`
	Branch    string       `json:"branch"` // of a tag "tags/NAME", of a pull request "pull/NUMBER"
	Revision  string       `json:"revision"`
	Trigger   string       `json:"trigger"` // push, tag, pull_request, schedule, pipeline or manual
	Outcome   string       `json:"outcome"` // pending, run, ignored, failed or held
	Reason    string       `json:"reason,omitempty"`
	SeenAt    time.Time    `json:"seen_at"`
	By        string       `json:"by,omitempty"`         // account that asked for a run
	AllowedBy string       `json:"allowed_by,omitempty"` // account that let it run where it was held
	Pipelines []string     `json:"pipelines,omitempty"`  // the only ones that it may start
	Upstream  string       `json:"upstream,omitempty"`   // ID of the run that it follows
	Runs      []string     `json:"runs,omitempty"`       // their IDs
	Request   *PullRequest `json:"request,omitempty"`
}

// PullRequest is what a change of one belongs to.
type PullRequest struct {
	Number int    `json:"number"`
	Title  string `json:"title"`
	URL    string `json:"url,omitempty"` // for people
	Author string `json:"author"`        // account at the forge
	Base   string `json:"base"`
	Head   string `json:"head"`
	Fork   bool   `json:"fork,omitempty"` // it comes from another repository
}

// Projects answers those that the caller may see.
func (c *Client) Projects(ctx context.Context) ([]Project, error) {
	return get[[]Project](ctx, c, "/api/v1/projects", nil)
}

// Project answers one, by name.
func (c *Client) Project(ctx context.Context, name string) (Project, error) {
	return get[Project](ctx, c, "/api/v1/projects/"+escape(name), nil)
}

// AddProject watches a repository from now on.
func (c *Client) AddProject(ctx context.Context, p NewProject) (AddedProject, error) {
	return post[AddedProject](ctx, c, "/api/v1/projects", p)
}

// ChangeProject sets the project's Name, Paused, Poll, Forks, Protected and KnownHosts.
func (c *Client) ChangeProject(ctx context.Context, name string, p Project) (Project, error) {
	return put[Project](ctx, c, "/api/v1/projects/"+escape(name), p)
}

// PutForgeToken gives a project another token for its forge's API, and for git over HTTPS; empty forgets it.
func (c *Client) PutForgeToken(ctx context.Context, project, token string) (Project, error) {
	return put[Project](ctx, c, "/api/v1/projects/"+escape(project, "token"), Token{Token: token})
}

// RemoveProject stops watching; runs and logs go with it, and what is deployed stays as it is.
func (c *Client) RemoveProject(ctx context.Context, name string) error {
	return remove(ctx, c, "/api/v1/projects/"+escape(name))
}

// PipelineFiles has the server read a project's repository, which takes a while where it is large.
func (c *Client) PipelineFiles(ctx context.Context, project string) (PipelineFiles, error) {
	return get[PipelineFiles](ctx, c, "/api/v1/projects/"+escape(project, "files"), nil)
}

// Changes answers a project's, newest first, at most 50.
func (c *Client) Changes(ctx context.Context, project string) ([]Change, error) {
	return get[[]Change](ctx, c, "/api/v1/projects/"+escape(project, "changes"), nil)
}

// Secrets answers the names of a project's secrets; their values are never read back.
func (c *Client) Secrets(ctx context.Context, project string) ([]Secret, error) {
	return get[[]Secret](ctx, c, "/api/v1/projects/"+escape(project, "secrets"), nil)
}

// Secret is a value that steps and environments may be given.
type Secret struct {
	Name         string    `json:"name"`
	Value        string    `json:"value,omitempty"`        // written, never answered
	From         string    `json:"from,omitempty"`         // the command of the server's settings that has the value; else empty
	Command      string    `json:"command,omitempty"`      // answered: that command, as it is written there; empty where it is there no more
	Environments []string  `json:"environments,omitempty"` // names; empty is steps, wherever they stand, but no instances
	Branches     []string  `json:"branches,omitempty"`     // globs; empty is protected branches
	UpdatedAt    time.Time `json:"updated_at,omitzero"`
}

// PutSecret writes a secret, new or again.
func (c *Client) PutSecret(ctx context.Context, project string, s Secret) error {
	_, err := put[struct{}](ctx, c, "/api/v1/projects/"+escape(project, "secrets", s.Name), s)
	return err
}

// SecretUse says that a secret was given to a step of a run, or to the environment that the step deploys to.
type SecretUse struct {
	Name        string    `json:"name"`
	Pipeline    string    `json:"pipeline"`
	Run         int       `json:"run"` // number
	Step        string    `json:"step"`
	Environment string    `json:"environment,omitempty"`
	At          time.Time `json:"at"`
}

// SecretUses answers who was given a project's secrets, newest first; name may be empty for all of them. It knows of the
// runs that the server has kept.
func (c *Client) SecretUses(ctx context.Context, project, name string) ([]SecretUse, error) {
	return get[[]SecretUse](ctx, c, "/api/v1/projects/"+escape(project, "secret-uses"), url.Values{"name": {name}})
}

// KeyRotation is a new key for all that is secret at the server, and what became of the older ones.
type KeyRotation struct {
	Forget    bool `json:"forget,omitempty"`    // the older keys go: older backups open with a copy of the key file only
	Resealed  int  `json:"resealed,omitempty"`  // values that rest under the new key now
	Forgotten int  `json:"forgotten,omitempty"` // older keys that are gone
}

// RotateKey has the server make a new key and seal every secret and credential with it.
func (c *Client) RotateKey(ctx context.Context, forget bool) (KeyRotation, error) {
	return post[KeyRotation](ctx, c, "/api/v1/secret-key/rotate", KeyRotation{Forget: forget})
}

// RemoveSecret forgets a secret.
func (c *Client) RemoveSecret(ctx context.Context, project, name string) error {
	return remove(ctx, c, "/api/v1/projects/"+escape(project, "secrets", name))
}

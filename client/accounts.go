package client

import (
	"context"
	"time"
)

// Me is who the caller is.
type Me struct {
	Account       string   `json:"account"`
	Administrator bool     `json:"administrator,omitempty"`
	Permissions   []string `json:"permissions,omitempty"`
}

// Account is a person or a program that signs in.
type Account struct {
	Name          string            `json:"name"`
	Email         string            `json:"email,omitempty"`
	Administrator bool              `json:"administrator,omitempty"`
	Roles         map[string]string `json:"roles,omitempty"` // by project's name; "*" is every project
	Groups        []string          `json:"groups,omitempty"`
	Link          string            `json:"link,omitempty"` // one-time sign-in link, answered once when the account is made
	CreatedAt     time.Time         `json:"created_at,omitzero"`
}

// Group is people that are asked and allowed together.
type Group struct {
	Name    string            `json:"name"`
	Members []string          `json:"members"`
	Roles   map[string]string `json:"roles,omitempty"` // by project's name; "*" is every project
}

// Token is a key for a program.
type Token struct {
	Name        string    `json:"name"`
	Token       string    `json:"token,omitempty"` // answered once, when it is made
	Permissions []string  `json:"permissions,omitempty"`
	Project     string    `json:"project,omitempty"` // empty is every project of its account
	ExpiresAt   time.Time `json:"expires_at,omitzero"`
	UsedAt      time.Time `json:"used_at,omitzero"`
}

// Worker is a machine that runs steps and keeps environments.
type Worker struct {
	ID        string    `json:"id"`
	Name      string    `json:"name"`
	OS        string    `json:"os"`
	Arch      string    `json:"arch"`
	Labels    []string  `json:"labels,omitempty"`
	Slots     int       `json:"slots"`
	Running   int       `json:"running"`
	Draining  bool      `json:"draining,omitempty"` // it gets no new steps
	DrainedBy string    `json:"drained_by,omitempty"`
	Version   string    `json:"version"`
	Older     bool      `json:"older,omitempty"`   // its version is not the server's, and older
	Added     []string  `json:"added,omitempty"`   // labels that it has from the server
	Removed   []string  `json:"removed,omitempty"` // labels that the server took from it
	SeenAt    time.Time `json:"seen_at"`
	JoinedAt  time.Time `json:"joined_at"`
}

// Labeling is a change of a worker's labels.
type Labeling struct {
	Add    []string `json:"add,omitempty"`
	Remove []string `json:"remove,omitempty"`
}

// AuditEntry is one privileged act.
type AuditEntry struct {
	Number int       `json:"number"`
	Actor  string    `json:"actor"`
	Action string    `json:"action"`
	Object string    `json:"object"`
	Detail string    `json:"detail,omitempty"`
	At     time.Time `json:"at"`
	Hash   string    `json:"hash"` // over this entry and the hash before it
}

// Me answers who the caller is.
func (c *Client) Me(ctx context.Context) (Me, error) { return get[Me](ctx, c, "/api/v1/me", nil) }

// Accounts answers every account.
func (c *Client) Accounts(ctx context.Context) ([]Account, error) {
	return get[[]Account](ctx, c, "/api/v1/accounts", nil)
}

// PutAccount makes an account, or changes its address, roles and groups. For a new one the answer has a one-time link.
func (c *Client) PutAccount(ctx context.Context, a Account) (Account, error) {
	return put[Account](ctx, c, "/api/v1/accounts/"+escape(a.Name), a)
}

// NewLink makes a new one-time link for an account. The ones before it are worth nothing any more.
func (c *Client) NewLink(ctx context.Context, name string) (Account, error) {
	return post[Account](ctx, c, "/api/v1/accounts/"+escape(name, "link"), nil)
}

// RemoveAccount ends an account, its sessions and its tokens.
func (c *Client) RemoveAccount(ctx context.Context, name string) error {
	return remove(ctx, c, "/api/v1/accounts/"+escape(name))
}

// Groups answers every group.
func (c *Client) Groups(ctx context.Context) ([]Group, error) {
	return get[[]Group](ctx, c, "/api/v1/groups", nil)
}

// PutGroup makes a group, or changes it.
func (c *Client) PutGroup(ctx context.Context, g Group) (Group, error) {
	return put[Group](ctx, c, "/api/v1/groups/"+escape(g.Name), g)
}

// RemoveGroup ends a group.
func (c *Client) RemoveGroup(ctx context.Context, name string) error {
	return remove(ctx, c, "/api/v1/groups/"+escape(name))
}

// Tokens answers the caller's own.
func (c *Client) Tokens(ctx context.Context) ([]Token, error) {
	return get[[]Token](ctx, c, "/api/v1/tokens", nil)
}

// NewToken makes a token of the caller's.
func (c *Client) NewToken(ctx context.Context, t Token) (Token, error) {
	return post[Token](ctx, c, "/api/v1/tokens", t)
}

// RemoveToken ends a token of the caller's.
func (c *Client) RemoveToken(ctx context.Context, name string) error {
	return remove(ctx, c, "/api/v1/tokens/"+escape(name))
}

// SignIn exchanges a one-time code, from a link, for a token of the account.
func (c *Client) SignIn(ctx context.Context, code, tokenName string) (Token, error) {
	return post[Token](ctx, c, "/api/v1/login", map[string]string{"code": code, "token_name": tokenName})
}

// SignOut makes the token worthless that this client shows.
func (c *Client) SignOut(ctx context.Context) error {
	_, err := post[struct{}](ctx, c, "/api/v1/logout", nil)
	return err
}

// Workers answers every worker.
func (c *Client) Workers(ctx context.Context) ([]Worker, error) {
	return get[[]Worker](ctx, c, "/api/v1/workers", nil)
}

// DrainWorker says whether a worker gets no new steps.
func (c *Client) DrainWorker(ctx context.Context, id string, draining bool) error {
	_, err := post[struct{}](ctx, c, "/api/v1/workers/"+escape(id)+"/drain", map[string]bool{"draining": draining})
	return err
}

// LabelWorker gives a worker labels besides its own, and takes labels from it. Giving undoes taking, and the other way round.
func (c *Client) LabelWorker(ctx context.Context, id string, l Labeling) (Worker, error) {
	return post[Worker](ctx, c, "/api/v1/workers/"+escape(id)+"/labels", l)
}

// RemoveWorker forgets a worker, and with it its key.
func (c *Client) RemoveWorker(ctx context.Context, id string) error {
	return remove(ctx, c, "/api/v1/workers/"+escape(id))
}

// NewWorkerToken makes a one-time token with which a worker registers.
func (c *Client) NewWorkerToken(ctx context.Context) (Token, error) {
	return post[Token](ctx, c, "/api/v1/workers/tokens", nil)
}

// Audit answers the newest acts, newest first, at most 200.
func (c *Client) Audit(ctx context.Context) ([]AuditEntry, error) {
	return get[[]AuditEntry](ctx, c, "/api/v1/audit", nil)
}

package client

import (
	"context"
	"net/url"
	"time"
)

// Freeze stops deployments, but not rollbacks.
type Freeze struct {
	Scope  string    `json:"scope"`        // environment, project or name
	Of     string    `json:"of,omitempty"` // the project's name, or that of the environments
	By     string    `json:"by"`
	Reason string    `json:"reason,omitempty"`
	Since  time.Time `json:"since"`
	Until  time.Time `json:"until,omitzero"` // missing: until somebody ends it
}

// NewFreeze is a wish to stop deployments.
type NewFreeze struct {
	Reason string    `json:"reason,omitempty"`
	Until  time.Time `json:"until,omitzero"` // missing: until somebody ends it
}

// StartNow is the wish that a deployment starts outside of its window.
type StartNow struct {
	Deployment string `json:"deployment,omitempty"` // ID; the first that waits where it is missing
	Reason     string `json:"reason"`
}

// Freezes answers those that reach further than one environment.
func (c *Client) Freezes(ctx context.Context) ([]Freeze, error) {
	return get[[]Freeze](ctx, c, "/api/v1/freezes", nil)
}

// FreezeProject freezes all environments of a project.
func (c *Client) FreezeProject(ctx context.Context, project string, f NewFreeze) (Freeze, error) {
	return put[Freeze](ctx, c, projectFreeze(project), f)
}

// ThawProject ends that.
func (c *Client) ThawProject(ctx context.Context, project string) error {
	return remove(ctx, c, projectFreeze(project))
}

// FreezeName freezes all environments of a name.
func (c *Client) FreezeName(ctx context.Context, name string, f NewFreeze) (Freeze, error) {
	return put[Freeze](ctx, c, "/api/v1/freezes/"+url.PathEscape(name), f)
}

// ThawName ends that.
func (c *Client) ThawName(ctx context.Context, name string) error {
	return remove(ctx, c, "/api/v1/freezes/"+url.PathEscape(name))
}

// Start lets a deployment start that waits for a window.
func (c *Client) Start(ctx context.Context, key string, wish StartNow) (Deployment, error) {
	return post[Deployment](ctx, c, environmentPath(key, "/start"), wish)
}

func projectFreeze(project string) string {
	return "/api/v1/projects/" + url.PathEscape(project) + "/freeze"
}

package client

import (
	"context"
	"net/url"
	"time"
)

// History is all that is known of a deployment: who, why, what changed, what was planned and what was done.
type History struct {
	Deployment
	Title    string    `json:"title,omitempty"`    // of the release
	Revision string    `json:"revision,omitempty"` // of the release
	Plan     string    `json:"plan,omitempty"`     // as it was forecast when the deployment began
	Settings []Setting `json:"settings,omitempty"` // what of the configuration is another than before
	Commits  Commits   `json:"commits"`
	Journal  []Entry   `json:"journal,omitempty"` // operations in their order
}

// Setting is a part of an environment's definition, or a variable, that a deployment changed. Values of variables are not told.
type Setting struct {
	Name   string `json:"name"`
	How    string `json:"how"` // added, removed or changed
	Before string `json:"before,omitempty"`
	After  string `json:"after,omitempty"`
}

// Commits are those by which a deployment's release differs from the one before.
type Commits struct {
	Added   []Commit `json:"added,omitempty"`   // newest first
	Removed []Commit `json:"removed,omitempty"` // taken back
	More    bool     `json:"more,omitempty"`    // there are more than are told
	Problem string   `json:"problem,omitempty"` // why they are not known
	Pending bool     `json:"pending,omitempty"` // nobody has looked yet
}

// Commit is one revision.
type Commit struct {
	Revision string    `json:"revision"`
	Title    string    `json:"title"`
	Author   string    `json:"author"`
	At       time.Time `json:"at,omitzero"`
}

// Entry is one operation as the keeper performed it.
type Entry struct {
	Operation string    `json:"operation"`
	Began     time.Time `json:"began"`
	Ended     time.Time `json:"ended"`
	Problem   string    `json:"problem,omitempty"` // why it failed
}

// History answers all that is known of one deployment.
func (c *Client) History(ctx context.Context, environment, deployment string) (History, error) {
	return get[History](ctx, c, environmentPath(environment, "/deployments/"+url.PathEscape(deployment)), nil)
}

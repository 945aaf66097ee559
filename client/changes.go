package client

import (
	"context"
	"net/url"
	"strconv"
)

// ChangePage answers a part of a project's changes, newest first.
func (c *Client) ChangePage(ctx context.Context, project string, p Page) ([]Change, error) {
	query := url.Values{}
	if p.Before != "" {
		query.Set("before", p.Before)
	}
	if p.Limit > 0 {
		query.Set("limit", strconv.Itoa(p.Limit))
	}
	return get[[]Change](ctx, c, "/api/v1/projects/"+escape(project, "changes"), query)
}

// AllowChange lets a change run that is held: one of a pull request from a fork, which somebody has read.
func (c *Client) AllowChange(ctx context.Context, project string, id int) (Change, error) {
	return post[Change](ctx, c, "/api/v1/projects/"+escape(project, "changes", strconv.Itoa(id), "allow"), nil)
}

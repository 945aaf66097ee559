package client

import (
	"context"
	"net/url"
	"strconv"
	"time"
)

// Delivery is one call of a project's webhook, and what became of it.
type Delivery struct {
	ID        int       `json:"id"`
	Key       string    `json:"key"`   // the forge's own ID of it, or the digest of its body
	Event     string    `json:"event"` // as the forge calls it
	Size      int       `json:"size"`  // of the body, in bytes
	Outcome   string    `json:"outcome"`
	Reason    string    `json:"reason,omitempty"`
	Replays   int       `json:"replays,omitempty"` // how often a person had it read again
	ArrivedAt time.Time `json:"arrived_at"`
	SettledAt time.Time `json:"settled_at,omitzero"`
	Body      string    `json:"body,omitempty"` // what was sent; only where one delivery is asked for
}

// Webhook is what a forge has to be told, so that it delivers.
type Webhook struct {
	URL    string `json:"url"`
	Set    bool   `json:"set,omitempty"`    // the forge was told of it by its API
	Secret string `json:"secret,omitempty"` // answered when it is made and the forge was not told of it, and never again
	Manual string `json:"manual,omitempty"` // what to paste where, for people
}

// Deliveries answers a part of a project's deliveries, newest first. The ID of the last of one part is Before of the next.
func (c *Client) Deliveries(ctx context.Context, project string, p Page) ([]Delivery, error) {
	return get[[]Delivery](ctx, c, "/api/v1/projects/"+escape(project, "deliveries"), p.query())
}

// Delivery answers one delivery with what was sent.
func (c *Client) Delivery(ctx context.Context, project string, id int) (Delivery, error) {
	return get[Delivery](ctx, c, deliveryPath(project, id), nil)
}

// ReplayDelivery has a delivery read again. What it tells of runs again, also where it has run before.
func (c *Client) ReplayDelivery(ctx context.Context, project string, id int) (Delivery, error) {
	return post[Delivery](ctx, c, deliveryPath(project, id)+"/replay", nil)
}

// RotateWebhook makes a new secret for a project's webhook. The one before stays valid beside it, until it is dropped or
// the next one is made.
func (c *Client) RotateWebhook(ctx context.Context, project string) (Webhook, error) {
	return post[Webhook](ctx, c, "/api/v1/projects/"+escape(project, "webhook"), nil)
}

// WebhookSecret is a secret that was made elsewhere, for example by the forge.
type WebhookSecret struct {
	Secret string `json:"secret,omitempty"` // 16 to 255 characters; empty is one that the server makes
}

// SetWebhookSecret has a project's webhook be signed with a secret that was made elsewhere. The one before stays valid
// beside it, as with RotateWebhook; the answer does not repeat the secret.
func (c *Client) SetWebhookSecret(ctx context.Context, project string, secret WebhookSecret) (Webhook, error) {
	return post[Webhook](ctx, c, "/api/v1/projects/"+escape(project, "webhook"), secret)
}

// DropWebhookSecret ends the validity of the secret before the current one.
func (c *Client) DropWebhookSecret(ctx context.Context, project string) error {
	return remove(ctx, c, "/api/v1/projects/"+escape(project, "webhook", "previous"))
}

func deliveryPath(project string, id int) string {
	return "/api/v1/projects/" + escape(project, "deliveries", strconv.Itoa(id))
}

// query is a page as the API takes it.
func (p Page) query() url.Values {
	query := url.Values{}
	if p.Before != "" {
		query.Set("before", p.Before)
	}
	if p.Limit > 0 {
		query.Set("limit", strconv.Itoa(p.Limit))
	}
	return query
}

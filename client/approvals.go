package client

import (
	"context"
	"time"
)

// Approval is a request to people to let a run go on.
type Approval struct {
	Pipeline  string      `json:"pipeline"`
	Run       int         `json:"run"` // number
	Step      string      `json:"step"`
	State     string      `json:"state"` // waiting, approved, rejected, expired or withdrawn
	By        []string    `json:"by"`
	Count     int         `json:"count"`
	Message   string      `json:"message,omitempty"`
	Intent    string      `json:"intent"` // digest of what is decided on; a decision names it
	Plans     []Plan      `json:"plans,omitempty"`
	Tests     []StepTests `json:"tests,omitempty"` // of the run, with what failed
	Decisions []Decision  `json:"decisions,omitempty"`
	AskedAt   time.Time   `json:"asked_at"`
	ExpiresAt time.Time   `json:"expires_at"`
}

// Decision is one person's answer.
type Decision struct {
	Account  string    `json:"account,omitempty"`
	Approved bool      `json:"approved"`
	Reason   string    `json:"reason,omitempty"`
	Intent   string    `json:"intent"` // of the approval as it was shown
	At       time.Time `json:"at,omitzero"`
}

// Approvals answers those that wait for a decision.
func (c *Client) Approvals(ctx context.Context) ([]Approval, error) {
	return get[[]Approval](ctx, c, "/api/v1/approvals", nil)
}

// Approval answers one, with the plan of what follows it.
func (c *Client) Approval(ctx context.Context, pipeline string, run int, step string) (Approval, error) {
	return get[Approval](ctx, c, approvalPath(pipeline, run, step), nil)
}

// Decide approves or rejects.
func (c *Client) Decide(ctx context.Context, a Approval, d Decision) (Approval, error) {
	d.Intent = a.Intent
	return post[Approval](ctx, c, approvalPath(a.Pipeline, a.Run, a.Step)+"/decide", d)
}

func approvalPath(pipeline string, run int, step string) string {
	return runPath(pipeline, run) + "/approvals/" + escape(step)
}
